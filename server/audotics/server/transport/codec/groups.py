"""Messages about groups: requests go in, checked queries come out; lists go back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from audotics.server.pipeline.group_query import (
    MAX_MEMBERS,
    GroupMember,
    GroupQuery,
    GroupRecommendation,
    GroupTrack,
    Strategy,
)
from audotics.server.transport.codec.conditions import decode_context, decode_filter, decode_objectives
from audotics.server.transport.codec.recommendations import (
    MAX_EXCLUDED,
    MAX_LIMIT,
    decode_recommend,
    encode_contributions,
    encode_degraded,
    encode_exposures,
    encode_versions,
)
from audotics.server.transport.codec.selection import decode_selector
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import ANYBODY, Caller, Objectives, RecommendQuery
from audotics.v1 import recommender_service_pb2 as pb

SESSION_ID: Final = re.compile(r"[a-z0-9-]{1,64}")
_SESSION_NAME: Final = re.compile(rf"sessions/({SESSION_ID.pattern})")
_STRATEGIES: Final = {pb.GroupStrategy.Value(f"GROUP_STRATEGY_{strategy.name}"): strategy for strategy in Strategy}


def decode_recommend_group(
    request: pb.RecommendGroupRequest, *, deadline: float | None, caller: Caller = ANYBODY
) -> GroupQuery:
    """`deadline` is on the clock of `time.monotonic()`. Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    violations.check_limit("limit", request.limit, most=MAX_LIMIT)
    violations.check_ids("exclude.track_ids", request.exclude.track_ids, most=MAX_EXCLUDED)
    diversity = request.diversity if request.HasField("diversity") else None
    if diversity is not None:
        violations.check_between("diversity", diversity, 0.0, 1.0)
    violations.check_between("fairness_floor", request.fairness_floor, 0.0, 1.0)
    if request.session and request.members:
        violations.add("session", "is set beside members; send one of the two")
    query = GroupQuery(
        members=() if request.session else decode_members(request.members, violations),
        limit=request.limit,
        session_id=decode_session_name("session", request.session, violations) if request.session else "",
        strategy=decode_strategy(request.strategy, violations),
        fairness_floor=request.fairness_floor or None,
        include_heard=request.include_heard,
        context=decode_context(request.context, violations),
        filter=decode_filter(request.filter, violations),
        excluded=tuple(request.exclude.track_ids),
        diversity=diversity,
        objectives=decode_objectives(request.objectives, violations)
        if request.HasField("objectives")
        else Objectives(),
        explain=request.explain,
        deadline=deadline,
        models=decode_selector(request, violations),
        caller=caller,
    )
    violations.raise_if_any()
    return query


def decode_members(
    messages: Sequence[pb.GroupMember], violations: Violations, *, least: int = 1
) -> tuple[GroupMember, ...]:
    """Paths start at `members`."""
    if not least <= len(messages) <= MAX_MEMBERS:
        violations.add("members", f"has {len(messages)} entries; send {least} to {MAX_MEMBERS}")
        return ()
    first: dict[str, int] = {}
    members = []
    for place, message in enumerate(messages):
        members.append(decode_member(f"members[{place}]", message, violations))
        earlier = first.setdefault(message.user_id, place)
        if earlier != place and message.user_id:
            violations.add(f"members[{place}].user_id", f"repeats members[{earlier}].user_id; send each member once")
    if members and not any(member.weight for member in members):
        violations.add("members", "has no weight above 0; raise one, or leave weights unset for equal ones")
    return tuple(members)


def decode_member(path: str, message: pb.GroupMember, violations: Violations) -> GroupMember:
    violations.check_id(f"{path}.user_id", message.user_id)
    if not message.HasField("weight"):
        return GroupMember(message.user_id)
    violations.check_weight(f"{path}.weight", message.weight)
    return GroupMember(message.user_id, message.weight)


def decode_strategy(number: int, violations: Violations) -> Strategy | None:
    """None where it is left open. Paths start at `strategy`."""
    if number and number not in _STRATEGIES:
        known = ", ".join(strategy.value for strategy in Strategy)
        violations.add("strategy", f"is {number}, which names no strategy; known strategies: {known}")
    return _STRATEGIES.get(number)


def decode_session_name(field: str, name: str, violations: Violations) -> str:
    """The id in "sessions/{session_id}"."""
    matched = _SESSION_NAME.fullmatch(name)
    if matched is None:
        violations.add(field, f"is {name[:80]!r}; send sessions/ and the id of a session")
        return ""
    return matched[1]


def decode_watch(request: pb.WatchRecommendationsRequest, *, caller: Caller = ANYBODY) -> RecommendQuery | GroupQuery:
    """What is watched; it has no deadline, since the stream's is not that of a list. Raises InvalidRequestError.

    Paths start in the message that is set.
    """
    match request.WhichOneof("query"):
        case "recommend":
            return decode_recommend(request.recommend, deadline=None, caller=caller)
        case "recommend_group":
            return decode_recommend_group(request.recommend_group, deadline=None, caller=caller)
    violations = Violations()
    violations.add("query", "is not set; send one of recommend and recommend_group")
    violations.raise_if_any()
    raise AssertionError("unreachable")


def encode_watched_group(answer: GroupRecommendation) -> pb.WatchRecommendationsResponse:
    return pb.WatchRecommendationsResponse(group_recommendation=encode_group(answer))


def encode_group(answer: GroupRecommendation) -> pb.RecommendGroupResponse:
    return pb.RecommendGroupResponse(
        recommendation_id=answer.recommendation_id,
        tracks=[_encode_track(track) for track in answer.tracks],
        model_versions=encode_versions(answer.model_versions),
        index_version=answer.index_version,
        experiments=encode_exposures(answer.exposures),
        degraded=encode_degraded(answer.degraded),
        members=[
            pb.MemberSatisfaction(user_id=member.user_id, satisfaction=member.satisfaction, weight=member.weight)
            for member in answer.members
        ],
        harmony=answer.harmony,
        strategy=f"GROUP_STRATEGY_{answer.strategy.name}",
    )


def _encode_track(track: GroupTrack) -> pb.GroupTrack:
    return pb.GroupTrack(
        track_id=track.track_id,
        title=track.title,
        artist=track.artist,
        score=track.score,
        chosen_for=track.chosen_for,
        worth=track.worth,
        contributions=encode_contributions(track.contributions),
        reasons=track.reasons,
    )
