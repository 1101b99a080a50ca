"""`RecommenderService` messages: requests go in, checked queries come out; lists go back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from audotics.server.transport.codec.conditions import (
    decode_context,
    decode_filter,
    decode_objectives,
    decode_subject,
    decode_vector,
)
from audotics.server.transport.codec.selection import decode_selector
from audotics.server.transport.codec.tracks import decode_track
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import (
    ANYBODY,
    Caller,
    Contribution,
    Degradation,
    Exposure,
    Objectives,
    RankedTrack,
    RankQuery,
    Recommendation,
    RecommendQuery,
    Similarity,
    SimilarQuery,
)
from audotics.v1 import recommender_service_pb2 as pb

MAX_LIMIT: Final = 500
MAX_CANDIDATES: Final = 1000
MAX_EXCLUDED: Final = 10_000


def decode_recommend(
    request: pb.RecommendRequest, *, deadline: float | None, caller: Caller = ANYBODY
) -> RecommendQuery:
    """`deadline` is on the clock of `time.monotonic()`. Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    violations.check_limit("limit", request.limit, most=MAX_LIMIT)
    violations.check_ids("exclude.track_ids", request.exclude.track_ids, most=MAX_EXCLUDED)
    diversity = request.diversity if request.HasField("diversity") else None
    if diversity is not None:
        violations.check_between("diversity", diversity, 0.0, 1.0)
    query = RecommendQuery(
        subject=decode_subject(request.subject, violations),
        limit=request.limit,
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


def decode_rank(request: pb.RankTracksRequest, *, deadline: float | None, caller: Caller = ANYBODY) -> RankQuery:
    """Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    violations.check_ids("track_ids", request.track_ids, least=1, most=MAX_CANDIDATES, distinct=True)
    query = RankQuery(
        subject=decode_subject(request.subject, violations),
        track_ids=tuple(request.track_ids),
        context=decode_context(request.context, violations),
        explain=request.explain,
        deadline=deadline,
        models=decode_selector(request, violations),
        caller=caller,
    )
    violations.raise_if_any()
    return query


def decode_similar(request: pb.SimilarTracksRequest, *, deadline: float | None) -> SimilarQuery:
    """Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    violations.check_limit("limit", request.limit, most=MAX_LIMIT)
    violations.check_ids("exclude.track_ids", request.exclude.track_ids, most=MAX_EXCLUDED)
    track = vector = None
    match kind := request.WhichOneof("query"):
        case "track_id":
            violations.check_id("track_id", request.track_id)
        case "features":
            track = decode_track(request.features, path="features", violations=violations, needs_id=False)
        case "vector":
            vector = decode_vector(request.vector.values, violations)
        case _:
            violations.add("query", "is not set; send one of track_id, features and vector")
    query = SimilarQuery(
        limit=request.limit,
        track_id=request.track_id if kind == "track_id" else None,
        track=track,
        vector=vector,
        filter=decode_filter(request.filter, violations),
        excluded=tuple(request.exclude.track_ids),
        deadline=deadline,
        models=decode_selector(request, violations),
    )
    violations.raise_if_any()
    return query


def encode_watched(answer: Recommendation) -> pb.WatchRecommendationsResponse:
    return pb.WatchRecommendationsResponse(recommendation=encode_recommendation(answer))


def encode_recommendation(answer: Recommendation) -> pb.RecommendResponse:
    return pb.RecommendResponse(
        recommendation_id=answer.recommendation_id,
        tracks=[encode_ranked(track) for track in answer.tracks],
        model_versions=encode_versions(answer.model_versions),
        index_version=answer.index_version,
        experiments=encode_exposures(answer.exposures),
        degraded=encode_degraded(answer.degraded),
    )


def encode_exposures(exposures: Sequence[Exposure]) -> list[pb.ExperimentArm]:
    """Without those of listeners who are held out: they are in no experiment."""
    return [
        pb.ExperimentArm(experiment=each.experiment, arm=each.arm, propensity=each.propensity)
        for each in exposures
        if each.experiment
    ]


def encode_ranking(answer: Recommendation) -> pb.RankTracksResponse:
    return pb.RankTracksResponse(
        recommendation_id=answer.recommendation_id,
        tracks=[encode_ranked(track) for track in answer.tracks],
        model_versions=encode_versions(answer.model_versions),
        degraded=encode_degraded(answer.degraded),
    )


def encode_similarity(answer: Similarity) -> pb.SimilarTracksResponse:
    return pb.SimilarTracksResponse(
        tracks=[
            pb.SimilarTrack(
                track_id=track.track_id, title=track.title, artist=track.artist, similarity=track.similarity
            )
            for track in answer.tracks
        ],
        model_versions=encode_versions(answer.model_versions),
        index_version=answer.index_version,
        degraded=encode_degraded(answer.degraded),
    )


def encode_ranked(track: RankedTrack) -> pb.RecommendedTrack:
    message = pb.RecommendedTrack(
        track_id=track.track_id,
        title=track.title,
        artist=track.artist,
        score=track.score,
        confidence=track.confidence,
    )
    if track.contributions or track.reasons:
        message.contributions.extend(encode_contributions(track.contributions))
        message.reasons.extend(track.reasons)
    return message


def encode_contributions(contributions: Sequence[Contribution]) -> list[pb.Contribution]:
    return [
        pb.Contribution(model=part.model, weight=part.weight, value=part.value, contribution=part.contribution)
        for part in contributions
    ]


def encode_versions(versions: Sequence[tuple[str, int]]) -> list[pb.ModelVersion]:
    return [pb.ModelVersion(model=model, version=version) for model, version in versions]


def encode_degraded(degraded: Sequence[Degradation]) -> list[pb.Degradation]:
    return [
        pb.Degradation(
            part=part.part,
            reason=pb.DegradationReason.Value(f"DEGRADATION_REASON_{part.reason.value.upper()}"),
            detail=part.detail,
        )
        for part in degraded
    ]
