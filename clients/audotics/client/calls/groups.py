"""Calls about tastes, of groups and of one listener. Wrong arguments are raised before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from types import MappingProxyType

from audotics.client.arguments import Activity, Mood, Objectives, TrackFilter
from audotics.client.calls.call import Call, call_of, exactly_one
from audotics.client.codec import groups as group_codec
from audotics.client.codec.recommendations import (
    encode_context,
    encode_filter,
    encode_models,
    encode_objectives,
    exclusion,
)
from audotics.client.codec.scalars import strings
from audotics.client.results.groups import Compatibility, GroupMember, GroupRecommendation, GroupStrategy, TasteAnalysis
from audotics.v1 import recommender_service_pb2 as recommender


def recommend_group(
    members: Iterable[str | GroupMember] | None = None,
    *,
    session: str | None = None,
    limit: int = 20,
    strategy: GroupStrategy | str | None = None,
    fairness_floor: float = 0.0,
    include_heard: bool = False,
    mood: Mood | str | None = None,
    genres: Iterable[str] = (),
    activity: Activity | str | None = None,
    local_time: time | None = None,
    filter: TrackFilter | None = None,
    exclude: Iterable[str] = (),
    diversity: float | None = None,
    objectives: Objectives | None = None,
    explain: bool = False,
    model_label: str | None = None,
    model_versions: Mapping[str, int] = MappingProxyType({}),
    timeout_s: float | None = None,
) -> Call[GroupRecommendation]:
    """The best tracks for up to 100 listeners together, and how well the list serves each of them.

    Give either `members`, ids or `GroupMember` with a weight, or `session`, "sessions/{id}": then its members, votes
    and plays count, and its strategy and floor where none are given here. For members, None is the average.
    `fairness_floor`, 0..1, is the satisfaction that no member shall stay below. What any member has seen does not come
    back; with `include_heard` that holds only for what one of them skipped, disliked or blocked. The rest is as for
    `recommend`.
    """
    exactly_one(members=members, session=session)
    request = recommender.RecommendGroupRequest(
        members=group_codec.encode_members(members or ()),
        session=session,
        limit=limit,
        strategy=None if strategy is None else group_codec.encode_strategy(strategy),
        fairness_floor=fairness_floor,
        include_heard=include_heard,
        context=encode_context(mood, genres, activity, local_time),
        filter=None if filter is None else encode_filter(filter),
        exclude=exclusion(exclude),
        diversity=diversity,
        objectives=None if objectives is None else encode_objectives(objectives),
        explain=explain,
        models=encode_models(model_label, model_versions),
    )
    return call_of(
        "RecommenderService/RecommendGroup",
        request,
        recommender.RecommendGroupResponse,
        group_codec.decode_group,
        timeout_s,
    )


def score_compatibility(
    user_ids: Iterable[str],
    *,
    model_label: str | None = None,
    model_versions: Mapping[str, int] = MappingProxyType({}),
    timeout_s: float | None = None,
) -> Call[Compatibility]:
    """How well each two of 2 to 100 listeners go together, and what joins and divides them, in words."""
    request = recommender.ScoreCompatibilityRequest(
        user_ids=strings("user_ids", user_ids), models=encode_models(model_label, model_versions)
    )
    return call_of(
        "RecommenderService/ScoreCompatibility",
        request,
        recommender.ScoreCompatibilityResponse,
        group_codec.decode_compatibility,
        timeout_s,
    )


def analyze_taste(user_id: str, *, timeout_s: float | None = None) -> Call[TasteAnalysis]:
    """What a listener hears: genres, moods, sound, hours and weekdays, trends, and what stands out, in sentences."""
    request = recommender.AnalyzeTasteRequest(user_id=user_id)
    return call_of(
        "RecommenderService/AnalyzeTaste",
        request,
        recommender.AnalyzeTasteResponse,
        group_codec.decode_taste,
        timeout_s,
    )
