"""Between plain values and protobuf: arguments go in as dataclasses and come out as messages, answers the other way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import Final, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from audotics.client import arguments, results
from audotics.v1 import (
    catalog_service_pb2,
    feedback_service_pb2,
    model_service_pb2,
    recommender_service_pb2,
    track_pb2,
)

_EnumT = TypeVar("_EnumT", bound=StrEnum)
_AUDIO_FEATURES: Final = tuple(track_pb2.AudioFeatures.DESCRIPTOR.fields_by_name)
_OPTIONAL_TRACK_FIELDS: Final = ("release_year", "explicit", "duration_ms", "popularity")


def encode_filter(value: arguments.TrackFilter) -> recommender_service_pb2.TrackFilter:
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


def encode_objectives(value: arguments.Objectives) -> recommender_service_pb2.Objectives:
    return recommender_service_pb2.Objectives(
        relevance=value.relevance,
        novelty=value.novelty,
        popularity=value.popularity,
        freshness=value.freshness,
        artist_fairness=value.artist_fairness,
    )


def encode_context(
    mood: arguments.Mood | str | None,
    genres: Iterable[str],
    activity: arguments.Activity | str | None = None,
    local_time: time | None = None,
) -> recommender_service_pb2.RequestContext | None:
    """Return None where nothing is given. Raises ValueError for an unknown mood or activity."""
    names = strings("genres", genres)
    if mood is None and activity is None and local_time is None and not names:
        return None
    wanted = None if mood is None else f"MOOD_{member('mood', mood, arguments.Mood).name}"
    doing = None if activity is None else f"ACTIVITY_{member('activity', activity, arguments.Activity).name}"
    clock = None if local_time is None else f"{local_time:%H:%M}"
    return recommender_service_pb2.RequestContext(mood=wanted, genres=names, activity=doing, local_time=clock)


def encode_track(value: arguments.Track) -> track_pb2.Track:
    audio = {name: getattr(value.audio_features, name) for name in _AUDIO_FEATURES}
    known = {name: number for name, number in audio.items() if number is not None}
    message = track_pb2.Track(
        track_id=value.track_id,
        title=value.title,
        artist=value.artist,
        album=value.album,
        tags=strings("tags", value.tags),
        release_year=value.release_year,
        duration_ms=value.duration_ms,
        popularity=value.popularity,
        audio_features=track_pb2.AudioFeatures(**known) if known else None,
    )
    if value.explicit is not None:
        message.explicit = value.explicit
    return message


def decode_track(message: track_pb2.Track) -> arguments.Track:
    audio = message.audio_features
    return arguments.Track(
        track_id=message.track_id,
        title=message.title,
        artist=message.artist,
        album=message.album,
        tags=tuple(message.tags),
        audio_features=arguments.AudioFeatures(
            **{name: getattr(audio, name) for name in _AUDIO_FEATURES if audio.HasField(name)}
        ),
        **{name: getattr(message, name) for name in _OPTIONAL_TRACK_FIELDS if message.HasField(name)},
    )


def encode_event(value: arguments.FeedbackEvent, *, event_id: str) -> feedback_service_pb2.FeedbackEvent:
    """Raises ValueError for an unknown type and for a time without a zone."""
    kind = member("type", value.type, arguments.EventType)
    return feedback_service_pb2.FeedbackEvent(
        event_id=event_id,
        user_id=value.user_id,
        track_id=value.track_id,
        type=f"EVENT_TYPE_{kind.name}",
        occurred_at=None if value.occurred_at is None else timestamp(value.occurred_at),
        recommendation_id=value.recommendation_id,
        rating=value.rating,
        utc_offset_minutes=_utc_offset_minutes(value.occurred_at),
    )


def decode_recommendation(message: recommender_service_pb2.RecommendResponse) -> results.Recommendation:
    return results.Recommendation(
        recommendation_id=message.recommendation_id,
        tracks=_ranked(message.tracks),
        model_versions=model_versions(message.model_versions),
        index_version=message.index_version,
        degraded=degraded(message.degraded),
        experiments=_experiment_arms(message.experiments),
    )


def decode_ranking(message: recommender_service_pb2.RankTracksResponse) -> results.Ranking:
    return results.Ranking(
        recommendation_id=message.recommendation_id,
        tracks=_ranked(message.tracks),
        model_versions=model_versions(message.model_versions),
        degraded=degraded(message.degraded),
    )


def decode_similar(message: recommender_service_pb2.SimilarTracksResponse) -> results.SimilarTracks:
    return results.SimilarTracks(
        tracks=tuple(results.SimilarTrack(t.track_id, t.title, t.artist, t.similarity) for t in message.tracks),
        model_versions=model_versions(message.model_versions),
        index_version=message.index_version,
        degraded=degraded(message.degraded),
    )


def decode_feedback(
    message: feedback_service_pb2.RecordFeedbackResponse | feedback_service_pb2.StreamFeedbackResponse,
) -> tuple[results.FeedbackResult, ...]:
    name_of = feedback_service_pb2.FeedbackStatus.Name
    return tuple(
        results.FeedbackResult(
            event_id=result.event_id,
            status=received(result.status, name_of, "FEEDBACK_STATUS_", results.FeedbackStatus),
            reason=result.reason,
        )
        for result in message.results
    )


def encode_preferences(
    *,
    liked_genres: Iterable[str] | None,
    liked_artists: Iterable[str] | None,
    liked_moods: Iterable[arguments.Mood | str] | None,
    blocked_tracks: Iterable[str] | None,
    blocked_artists: Iterable[str] | None,
) -> tuple[feedback_service_pb2.Preferences, list[str]]:
    """The message, and the names of what is given. Raises ValueError for an unknown mood."""
    moods = None if liked_moods is None else [member("liked_moods", mood, arguments.Mood) for mood in liked_moods]
    given: dict[str, list[str]] = {
        name: strings(name, values)
        for name, values in (
            ("liked_genres", liked_genres),
            ("liked_artists", liked_artists),
            ("liked_moods", None if moods is None else [f"MOOD_{mood.name}" for mood in moods]),
            ("blocked_tracks", blocked_tracks),
            ("blocked_artists", blocked_artists),
        )
        if values is not None
    }
    return feedback_service_pb2.Preferences(**given), list(given)


def decode_preferences(message: feedback_service_pb2.Preferences) -> results.Preferences:
    name_of = track_pb2.Mood.Name
    return results.Preferences(
        liked_genres=tuple(message.liked_genres),
        liked_artists=tuple(message.liked_artists),
        liked_moods=tuple(name_of(mood).removeprefix("MOOD_").lower() for mood in message.liked_moods),
        blocked_tracks=tuple(message.blocked_tracks),
        blocked_artists=tuple(message.blocked_artists),
    )


def decode_tracks(message: catalog_service_pb2.GetTracksResponse) -> tuple[arguments.Track, ...]:
    return tuple(decode_track(track) for track in message.tracks)


def decode_classification(message: recommender_service_pb2.ClassifyTracksResponse) -> results.Classification:
    return results.Classification(
        tracks=tuple(
            results.ClassifiedTrack(
                track.track_id,
                moods={item.name: item.probability for item in track.moods},
                genres={item.name: item.probability for item in track.genres},
            )
            for track in message.tracks
        ),
        model_versions=model_versions(message.model_versions),
        degraded=degraded(message.degraded),
    )


def decode_explanation(message: recommender_service_pb2.ExplainRecommendationResponse) -> results.Explanation:
    return results.Explanation(
        recommendation_id=message.recommendation_id,
        created_at=message.created_at.ToDatetime(tzinfo=UTC),
        model_versions=model_versions(message.model_versions),
        index_version=message.index_version,
        listener_digest=message.listener_digest,
        candidates=tuple(
            results.ExplainedCandidate(
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
        experiments=_experiment_arms(message.experiments),
        tilt=_tilt(message.tilt) if message.HasField("tilt") else None,
    )


def _tilt(message: recommender_service_pb2.DrawnTilt) -> results.DrawnTilt:
    return results.DrawnTilt(
        arm=message.arm,
        policy=message.policy,
        segment=message.segment,
        name=message.name,
        propensity=message.propensity,
        factors=dict(message.factors),
    )


def decode_model(message: model_service_pb2.Model) -> results.ModelInfo:
    versions = tuple(_version(item) for item in message.versions)
    return results.ModelInfo(message.name, message.kind, versions, dict(message.labels))


def decode_index(message: model_service_pb2.VectorIndex) -> results.IndexInfo:
    return results.IndexInfo(
        name=message.name,
        version=message.version,
        kind=message.kind,
        settings=message.settings,
        metric=message.metric,
        dimension=message.dimension,
        vector_count=message.vector_count,
        changed_count=message.changed_count,
        deleted_count=message.deleted_count,
        in_service=message.in_service,
        built=_built(message),
    )


def decode_recall(message: model_service_pb2.GetRecallReportResponse) -> results.RecallReport:
    return results.RecallReport(
        indexes=tuple(
            results.IndexRecall(
                name=index.name,
                version=index.version,
                built=_built(index),
                live=index.live if index.HasField("live") else None,
                live_count=index.live_count,
                held_out=index.held_out if index.HasField("held_out") else None,
            )
            for index in message.indexes
        ),
        sample_share=message.sample_share,
        sampled_count=message.sampled_count,
        skipped_count=message.skipped_count,
        blocked_count=message.blocked_count,
        completed_count=message.completed_count,
        exact_filtered_count=message.exact_filtered_count,
        indexed_filtered_count=message.indexed_filtered_count,
        device_fallback_count=message.device_fallback_count,
    )


def _built(message: model_service_pb2.VectorIndex | model_service_pb2.IndexRecall) -> results.BuiltRecall | None:
    if not message.HasField("built"):
        return None
    built = message.built
    return results.BuiltRecall(built.k, built.target, built.measured, built.query_count)


def decode_shadow(message: model_service_pb2.GetShadowReportResponse) -> results.ShadowReport | None:
    if not message.HasField("report"):
        return None
    report = message.report
    return results.ShadowReport(
        versions=dict(report.versions),
        request_count=report.request_count,
        failure_count=report.failure_count,
        skipped_count=report.skipped_count,
        overlap_at_k=report.overlap_at_k,
        k=report.k,
        score_drift=report.score_drift,
        served_ms=report.served_ms,
        shadow_ms=report.shadow_ms,
    )


def encode_models(label: str | None, versions: Mapping[str, int]) -> recommender_service_pb2.ModelSelector | None:
    """None where nothing is selected."""
    if label is None and not versions:
        return None
    chosen = [recommender_service_pb2.ModelVersion(model=name, version=number) for name, number in versions.items()]
    return recommender_service_pb2.ModelSelector(label=label or "", versions=chosen)


def strings(name: str, values: Iterable[str]) -> list[str]:
    """Return `values` as a list. Raises TypeError for one bare string, whose characters would pass for ids."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{name} takes several strings, such as [{values!r}], not {values!r} alone")
    return list(values)


def exclusion(track_ids: Iterable[str]) -> recommender_service_pb2.Exclusion | None:
    excluded = strings("exclude", track_ids)
    return recommender_service_pb2.Exclusion(track_ids=excluded) if excluded else None


def _ranked(
    messages: Iterable[recommender_service_pb2.RecommendedTrack],
) -> tuple[results.RecommendedTrack, ...]:
    return tuple(
        results.RecommendedTrack(
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


def contributions(messages: Iterable[recommender_service_pb2.Contribution]) -> tuple[results.Contribution, ...]:
    return tuple(results.Contribution(part.model, part.weight, part.value, part.contribution) for part in messages)


def model_versions(
    messages: Iterable[recommender_service_pb2.ModelVersion],
) -> tuple[results.ModelVersion, ...]:
    return tuple(results.ModelVersion(item.model, item.version) for item in messages)


def _experiment_arms(
    messages: Iterable[recommender_service_pb2.ExperimentArm],
) -> tuple[results.ExperimentArm, ...]:
    return tuple(results.ExperimentArm(item.experiment, item.arm, item.propensity) for item in messages)


def degraded(messages: Iterable[recommender_service_pb2.Degradation]) -> tuple[results.Degradation, ...]:
    name_of = recommender_service_pb2.DegradationReason.Name
    return tuple(
        results.Degradation(
            part=item.part,
            reason=received(item.reason, name_of, "DEGRADATION_REASON_", results.DegradationReason),
            detail=item.detail,
        )
        for item in messages
    )


def _version(message: model_service_pb2.VersionInfo) -> results.VersionInfo:
    return results.VersionInfo(
        version=message.version,
        state=received(message.state, model_service_pb2.VersionState.Name, "VERSION_STATE_", results.VersionState),
        reason=message.reason,
        created_at=message.created_at.ToDatetime(tzinfo=UTC) if message.HasField("created_at") else None,
        framework=message.framework,
        metrics=dict(message.metrics),
        inputs=_tensors(message.inputs),
        outputs=_tensors(message.outputs),
        size_bytes=message.size_bytes,
        parity_max_abs_diff=message.parity_max_abs_diff if message.HasField("parity_max_abs_diff") else None,
    )


def _tensors(messages: Iterable[model_service_pb2.TensorInfo]) -> tuple[results.TensorInfo, ...]:
    return tuple(results.TensorInfo(item.name, item.dtype, tuple(item.shape)) for item in messages)


def _utc_offset_minutes(moment: datetime | None) -> int | None:
    """How far local time is ahead; None for a time in UTC itself, which says nothing of where the listener is."""
    offset = None if moment is None or moment.tzinfo is UTC else moment.utcoffset()
    return None if offset is None else round(offset.total_seconds() / 60)


def timestamp(moment: datetime) -> Timestamp:
    if moment.tzinfo is None:
        raise ValueError(f"occurred_at needs a time zone: {moment.isoformat()} could be any of several moments")
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def member(name: str, value: str, kind: type[_EnumT]) -> _EnumT:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name} must be one of {', '.join(kind)}, not {value!r}") from None


def received(number: int, name_of: Callable[[int], str], prefix: str, kind: type[_EnumT]) -> _EnumT:
    """Return the member that `number` stands for, or UNKNOWN for one that was added after this client was made."""
    try:
        return kind(name_of(number).removeprefix(prefix).lower())
    except ValueError:
        return kind("unknown")
