"""Calls of GroupService: sessions in which several listeners hear one list together. Each returns the session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from google.protobuf.message import Message

from audotics.client.calls.call import Call, call_of
from audotics.client.codec import groups as group_codec
from audotics.client.results.groups import GroupMember, GroupStrategy, Session, Vote
from audotics.v1 import group_service_pb2 as pb

_AnswerT = TypeVar("_AnswerT", bound=Message)


def create_session(
    members: Iterable[str | GroupMember] = (),
    *,
    session_id: str = "",
    strategy: GroupStrategy | str = GroupStrategy.AVERAGE,
    fairness_floor: float = 0.0,
    timeout_s: float | None = None,
) -> Call[Session]:
    """Open a session of up to 100 listeners; without `session_id` the server chooses one.

    Not retried: whether a session whose answer got lost is there, only its id would tell.
    """
    request = pb.CreateSessionRequest(
        session_id=session_id,
        members=group_codec.encode_members(members),
        strategy=group_codec.encode_strategy(strategy),
        fairness_floor=fairness_floor,
    )
    return replace(_call("CreateSession", request, pb.CreateSessionResponse, timeout_s), repeatable=False)


def get_session(name: str, *, timeout_s: float | None = None) -> Call[Session]:
    """The session "sessions/{id}" as it is now."""
    return _call("GetSession", pb.GetSessionRequest(name=name), pb.GetSessionResponse, timeout_s)


def join_session(name: str, member: str | GroupMember, *, timeout_s: float | None = None) -> Call[Session]:
    """Add a member, or give one another weight."""
    (encoded,) = group_codec.encode_members([member])
    return _call("JoinSession", pb.JoinSessionRequest(name=name, member=encoded), pb.JoinSessionResponse, timeout_s)


def leave_session(name: str, user_id: str, *, timeout_s: float | None = None) -> Call[Session]:
    """Take a member out, with their votes."""
    request = pb.LeaveSessionRequest(name=name, user_id=user_id)
    return _call("LeaveSession", request, pb.LeaveSessionResponse, timeout_s)


def vote_track(
    name: str, user_id: str, track_id: str, vote: Vote | str, *, timeout_s: float | None = None
) -> Call[Session]:
    """Let a member vote for or against a track, or withdraw their vote. The latest counts."""
    request = pb.VoteTrackRequest(
        name=name, user_id=user_id, track_id=track_id, vote=f"VOTE_{group_codec.vote_name(vote)}"
    )
    return _call("VoteTrack", request, pb.VoteTrackResponse, timeout_s)


def set_now_playing(name: str, track_id: str = "", *, timeout_s: float | None = None) -> Call[Session]:
    """Say what plays now; nothing, when it is empty. A track that plays does not come in the session's list again."""
    request = pb.SetNowPlayingRequest(name=name, track_id=track_id)
    return _call("SetNowPlaying", request, pb.SetNowPlayingResponse, timeout_s)


def skip_track(name: str, track_id: str, *, timeout_s: float | None = None) -> Call[Session]:
    """End what plays, which must be `track_id`, before its time."""
    request = pb.SkipTrackRequest(name=name, track_id=track_id)
    return _call("SkipTrack", request, pb.SkipTrackResponse, timeout_s)


def end_session(name: str, *, timeout_s: float | None = None) -> Call[Session]:
    """End a session; nothing can change in it any more."""
    return _call("EndSession", pb.EndSessionRequest(name=name), pb.EndSessionResponse, timeout_s)


def _call(method: str, request: Message, answer: type[_AnswerT], timeout_s: float | None) -> Call[Session]:
    def decode(message: _AnswerT) -> Session:
        session: pb.Session = message.session  # type: ignore[attr-defined, unused-ignore]
        return group_codec.decode_session(session)

    return call_of(f"GroupService/{method}", request, answer, decode, timeout_s)
