"""`GroupService` messages: what members do goes in checked, and the session goes back."""

from __future__ import annotations

from collections import Counter
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from audotics.server.pipeline.group_query import GroupMember, Strategy
from audotics.server.services.sessions import session_name
from audotics.server.storage.sessions import StoredSession, StoredVote
from audotics.server.transport.codec.groups import (
    SESSION_ID,
    decode_member,
    decode_members,
    decode_session_name,
    decode_strategy,
)
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import group_service_pb2 as pb

_SHOWN_PLAYS: Final = 100
_VOTES: Final = {pb.VOTE_UP: 1, pb.VOTE_DOWN: -1, pb.VOTE_WITHDRAWN: 0}


def decode_create(request: pb.CreateSessionRequest) -> tuple[str, tuple[GroupMember, ...], Strategy, float]:
    """The wanted id, members, strategy and floor. Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    if request.session_id and not SESSION_ID.fullmatch(request.session_id):
        violations.add(
            "session_id", f"is {request.session_id[:80]!r}; send 1 to 64 lower-case letters, digits and hyphens"
        )
    members = decode_members(request.members, violations, least=0)
    strategy = decode_strategy(request.strategy, violations)
    violations.check_between("fairness_floor", request.fairness_floor, 0.0, 1.0)
    violations.raise_if_any()
    return request.session_id, members, strategy or Strategy.AVERAGE, request.fairness_floor


def decode_name(request: pb.GetSessionRequest | pb.EndSessionRequest) -> str:
    """The session's id. Raises InvalidRequestError."""
    violations = Violations()
    session_id = decode_session_name("name", request.name, violations)
    violations.raise_if_any()
    return session_id


def decode_join(request: pb.JoinSessionRequest) -> tuple[str, GroupMember]:
    """Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    session_id = decode_session_name("name", request.name, violations)
    member = decode_member("member", request.member, violations)
    violations.raise_if_any()
    return session_id, member


def decode_leave(request: pb.LeaveSessionRequest) -> tuple[str, str]:
    """The session's id and the listener's. Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    session_id = decode_session_name("name", request.name, violations)
    violations.check_id("user_id", request.user_id)
    violations.raise_if_any()
    return session_id, request.user_id


def decode_vote(request: pb.VoteTrackRequest) -> tuple[str, StoredVote]:
    """Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    session_id = decode_session_name("name", request.name, violations)
    violations.check_id("user_id", request.user_id)
    violations.check_id("track_id", request.track_id)
    if request.vote not in _VOTES:
        violations.add("vote", f"is {request.vote}, which is no vote; send up, down or withdrawn")
    violations.raise_if_any()
    return session_id, StoredVote(request.user_id, request.track_id, _VOTES[request.vote])


def decode_play(request: pb.SetNowPlayingRequest) -> tuple[str, str]:
    """The ids of the session and of the track, which may be empty. Raises InvalidRequestError with all of it."""
    violations = Violations()
    session_id = decode_session_name("name", request.name, violations)
    if request.track_id:
        violations.check_id("track_id", request.track_id)
    violations.raise_if_any()
    return session_id, request.track_id


def decode_skip(request: pb.SkipTrackRequest) -> tuple[str, str]:
    """The session's id and the track's. Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    session_id = decode_session_name("name", request.name, violations)
    violations.check_id("track_id", request.track_id)
    violations.raise_if_any()
    return session_id, request.track_id


def encode_session(session: StoredSession) -> pb.Session:
    ups = Counter(vote.track_id for vote in session.votes if vote.value > 0)
    downs = Counter(vote.track_id for vote in session.votes if vote.value < 0)
    voted = dict.fromkeys(vote.track_id for vote in session.votes)
    return pb.Session(
        name=session_name(session.session_id),
        strategy=f"GROUP_STRATEGY_{Strategy(session.strategy).name}",
        fairness_floor=session.fairness_floor,
        members=[
            pb.SessionMember(user_id=member.user_id, weight=member.weight, joined_at=_timestamp(member.joined_at))
            for member in session.members
        ],
        now_playing=session.now_playing,
        votes=[
            pb.TrackVotes(track_id=track_id, up_count=ups[track_id], down_count=downs[track_id]) for track_id in voted
        ],
        plays=[
            pb.SessionPlay(track_id=play.track_id, started_at=_timestamp(play.started_at), skipped=play.skipped)
            for play in session.plays[-_SHOWN_PLAYS:]
        ],
        created_at=_timestamp(session.created_at),
        ended_at=None if session.ended_at is None else _timestamp(session.ended_at),
    )


def _timestamp(time_s: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromNanoseconds(int(time_s * 1e9))
    return stamp
