"""Questions to the recommender and its answers between Python and messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, time

from audotics.client.arguments import Activity, Mood, Objectives, TrackFilter
from audotics.client.codec.scalars import member, received, strings
from audotics.client.results.recommendations import (
    Classification,
    ClassifiedTrack,
    Contribution,
    Degradation,
    DegradationReason,
    DrawnTilt,
    ExperimentArm,
    ExplainedCandidate,
    Explanation,
    ModelVersion,
    Ranking,
    Recommendation,
    RecommendedTrack,
    SimilarTrack,
    SimilarTracks,
)
from audotics.v1 import recommender_service_pb2


def encode_filter(value: TrackFilter) -> recommender_service_pb2.TrackFilter:
    message = recommender_service_pb2.TrackFilter(
        genres=strings("filter.genres", value.genres),
        excluded_genres=strings("filter.excluded_genres", value.excluded_genres),
        artists=strings("filter.artists", value.artists),
        excluded_artists=strings("filter.excluded_artists", value.excluded_artists),
        min_release_year=value.min_release_year,
        max_release_year=value.max_release_year,
        feature_ranges=[
            recommender_service_pb2.FeatureRange(feature=item.feature, min=item.min, max=item.max)
            for item in value.feature_ranges
        ],
    )
    if value.explicit is not None:
        message.explicit = value.explicit
    return message


def encode_objectives(value: Objectives) -> recommender_service_pb2.Objectives:
    return recommender_service_pb2.Objectives(
        relevance=value.relevance,
        novelty=value.novelty,
        popularity=value.popularity,
        freshness=value.freshness,
        artist_fairness=value.artist_fairness,
    )


def encode_context(
    mood: Mood | str | None,
    genres: Iterable[str],
    activity: Activity | str | None = None,
    local_time: time | None = None,
) -> recommender_service_pb2.RequestContext | None:
    """Return None where nothing is given. Raises ValueError for an unknown mood or activity."""
    names = strings("genres", genres)
    if mood is None and activity is None and local_time is None and not names:
        return None
    wanted = None if mood is None else f"MOOD_{member('mood', mood, Mood).name}"
    doing = None if activity is None else f"ACTIVITY_{member('activity', activity, Activity).name}"
    clock = None if local_time is None else f"{local_time:%H:%M}"
    return recommender_service_pb2.RequestContext(mood=wanted, genres=names, activity=doing, local_time=clock)


def encode_models(label: str | None, versions: Mapping[str, int]) -> recommender_service_pb2.ModelSelector | None:
    """None where nothing is selected."""
    if label is None and not versions:
        return None
    chosen = [recommender_service_pb2.ModelVersion(model=name, version=number) for name, number in versions.items()]
    return recommender_service_pb2.ModelSelector(label=label or "", versions=chosen)


def exclusion(track_ids: Iterable[str]) -> recommender_service_pb2.Exclusion | None:
    excluded = strings("exclude", track_ids)
    return recommender_service_pb2.Exclusion(track_ids=excluded) if excluded else None


def decode_recommendation(message: recommender_service_pb2.RecommendResponse) -> Recommendation:
    return Recommendation(
        recommendation_id=message.recommendation_id,
        tracks=_ranked(message.tracks),
        model_versions=model_versions(message.model_versions),
        index_version=message.index_version,
        degraded=degraded(message.degraded),
        experiments=experiment_arms(message.experiments),
    )


def decode_ranking(message: recommender_service_pb2.RankTracksResponse) -> Ranking:
    return Ranking(
        recommendation_id=message.recommendation_id,
        tracks=_ranked(message.tracks),
        model_versions=model_versions(message.model_versions),
        degraded=degraded(message.degraded),
    )


def decode_similar(message: recommender_service_pb2.SimilarTracksResponse) -> SimilarTracks:
    return SimilarTracks(
        tracks=tuple(SimilarTrack(t.track_id, t.title, t.artist, t.similarity) for t in message.tracks),
        model_versions=model_versions(message.model_versions),
        index_version=message.index_version,
        degraded=degraded(message.degraded),
    )


def decode_classification(message: recommender_service_pb2.ClassifyTracksResponse) -> Classification:
    return Classification(
        tracks=tuple(
            ClassifiedTrack(
                track.track_id,
                moods={item.name: item.probability for item in track.moods},
                genres={item.name: item.probability for item in track.genres},
            )
            for track in message.tracks
        ),
        model_versions=model_versions(message.model_versions),
        degraded=degraded(message.degraded),
    )


def decode_explanation(message: recommender_service_pb2.ExplainRecommendationResponse) -> Explanation:
    return Explanation(
        recommendation_id=message.recommendation_id,
        created_at=message.created_at.ToDatetime(tzinfo=UTC),
        model_versions=model_versions(message.model_versions),
        index_version=message.index_version,
        listener_digest=message.listener_digest,
        candidates=tuple(
            ExplainedCandidate(
                track_id=candidate.track_id,
                rank=candidate.rank,
                recorded_score=candidate.recorded_score,
                replayed=_ranked([candidate.replayed])[0] if candidate.HasField("replayed") else None,
            )
            for candidate in message.candidates
        ),
        not_replayed_reason=message.not_replayed_reason,
        max_abs_difference=message.max_abs_difference,
        exact=message.exact,
        experiments=experiment_arms(message.experiments),
        tilt=_tilt(message.tilt) if message.HasField("tilt") else None,
    )


def _tilt(message: recommender_service_pb2.DrawnTilt) -> DrawnTilt:
    return DrawnTilt(
        arm=message.arm,
        policy=message.policy,
        segment=message.segment,
        name=message.name,
        propensity=message.propensity,
        factors=dict(message.factors),
    )


def _ranked(
    messages: Iterable[recommender_service_pb2.RecommendedTrack],
) -> tuple[RecommendedTrack, ...]:
    return tuple(
        RecommendedTrack(
            track_id=track.track_id,
            title=track.title,
            artist=track.artist,
            score=track.score,
            confidence=track.confidence,
            contributions=contributions(track.contributions),
            reasons=tuple(track.reasons),
        )
        for track in messages
    )


def contributions(messages: Iterable[recommender_service_pb2.Contribution]) -> tuple[Contribution, ...]:
    return tuple(Contribution(part.model, part.weight, part.value, part.contribution) for part in messages)


def model_versions(
    messages: Iterable[recommender_service_pb2.ModelVersion],
) -> tuple[ModelVersion, ...]:
    return tuple(ModelVersion(item.model, item.version) for item in messages)


def experiment_arms(
    messages: Iterable[recommender_service_pb2.ExperimentArm],
) -> tuple[ExperimentArm, ...]:
    return tuple(ExperimentArm(item.experiment, item.arm, item.propensity) for item in messages)


def degraded(messages: Iterable[recommender_service_pb2.Degradation]) -> tuple[Degradation, ...]:
    name_of = recommender_service_pb2.DegradationReason.Name
    return tuple(
        Degradation(
            part=item.part,
            reason=received(item.reason, name_of, "DEGRADATION_REASON_", DegradationReason),
            detail=item.detail,
        )
        for item in messages
    )
