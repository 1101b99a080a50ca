from audotics.v1 import track_pb2 as _track_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DegradationReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEGRADATION_REASON_UNSPECIFIED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_UNKNOWN_USER: _ClassVar[DegradationReason]
    DEGRADATION_REASON_UNAVAILABLE: _ClassVar[DegradationReason]
    DEGRADATION_REASON_FAILED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_DEADLINE: _ClassVar[DegradationReason]
    DEGRADATION_REASON_FEW_MATCHES: _ClassVar[DegradationReason]
DEGRADATION_REASON_UNSPECIFIED: DegradationReason
DEGRADATION_REASON_UNKNOWN_USER: DegradationReason
DEGRADATION_REASON_UNAVAILABLE: DegradationReason
DEGRADATION_REASON_FAILED: DegradationReason
DEGRADATION_REASON_DEADLINE: DegradationReason
DEGRADATION_REASON_FEW_MATCHES: DegradationReason

class Subject(_message.Message):
    __slots__ = ("user_id", "seed_tracks", "session")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SEED_TRACKS_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    seed_tracks: SeedTracks
    session: AnonymousSession
    def __init__(self, user_id: _Optional[str] = ..., seed_tracks: _Optional[_Union[SeedTracks, _Mapping]] = ..., session: _Optional[_Union[AnonymousSession, _Mapping]] = ...) -> None: ...

class SeedTracks(_message.Message):
    __slots__ = ("track_ids",)
    TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    track_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, track_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class AnonymousSession(_message.Message):
    __slots__ = ("track_ids",)
    TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    track_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, track_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RequestContext(_message.Message):
    __slots__ = ("mood", "genres")
    MOOD_FIELD_NUMBER: _ClassVar[int]
    GENRES_FIELD_NUMBER: _ClassVar[int]
    mood: _track_pb2.Mood
    genres: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, mood: _Optional[_Union[_track_pb2.Mood, str]] = ..., genres: _Optional[_Iterable[str]] = ...) -> None: ...

class TrackFilter(_message.Message):
    __slots__ = ("genres", "excluded_genres", "artists", "excluded_artists", "min_release_year", "max_release_year", "explicit", "feature_ranges")
    GENRES_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_GENRES_FIELD_NUMBER: _ClassVar[int]
    ARTISTS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_ARTISTS_FIELD_NUMBER: _ClassVar[int]
    MIN_RELEASE_YEAR_FIELD_NUMBER: _ClassVar[int]
    MAX_RELEASE_YEAR_FIELD_NUMBER: _ClassVar[int]
    EXPLICIT_FIELD_NUMBER: _ClassVar[int]
    FEATURE_RANGES_FIELD_NUMBER: _ClassVar[int]
    genres: _containers.RepeatedScalarFieldContainer[str]
    excluded_genres: _containers.RepeatedScalarFieldContainer[str]
    artists: _containers.RepeatedScalarFieldContainer[str]
    excluded_artists: _containers.RepeatedScalarFieldContainer[str]
    min_release_year: int
    max_release_year: int
    explicit: bool
    feature_ranges: _containers.RepeatedCompositeFieldContainer[FeatureRange]
    def __init__(self, genres: _Optional[_Iterable[str]] = ..., excluded_genres: _Optional[_Iterable[str]] = ..., artists: _Optional[_Iterable[str]] = ..., excluded_artists: _Optional[_Iterable[str]] = ..., min_release_year: _Optional[int] = ..., max_release_year: _Optional[int] = ..., explicit: bool = ..., feature_ranges: _Optional[_Iterable[_Union[FeatureRange, _Mapping]]] = ...) -> None: ...

class FeatureRange(_message.Message):
    __slots__ = ("feature", "min", "max")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    feature: str
    min: float
    max: float
    def __init__(self, feature: _Optional[str] = ..., min: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class Exclusion(_message.Message):
    __slots__ = ("track_ids",)
    TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    track_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, track_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Objectives(_message.Message):
    __slots__ = ("relevance", "novelty", "popularity", "freshness", "artist_fairness")
    RELEVANCE_FIELD_NUMBER: _ClassVar[int]
    NOVELTY_FIELD_NUMBER: _ClassVar[int]
    POPULARITY_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    ARTIST_FAIRNESS_FIELD_NUMBER: _ClassVar[int]
    relevance: float
    novelty: float
    popularity: float
    freshness: float
    artist_fairness: float
    def __init__(self, relevance: _Optional[float] = ..., novelty: _Optional[float] = ..., popularity: _Optional[float] = ..., freshness: _Optional[float] = ..., artist_fairness: _Optional[float] = ...) -> None: ...

class RecommendRequest(_message.Message):
    __slots__ = ("subject", "limit", "context", "filter", "exclude", "diversity", "objectives", "explain", "models")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVES_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    subject: Subject
    limit: int
    context: RequestContext
    filter: TrackFilter
    exclude: Exclusion
    diversity: float
    objectives: Objectives
    explain: bool
    models: ModelSelector
    def __init__(self, subject: _Optional[_Union[Subject, _Mapping]] = ..., limit: _Optional[int] = ..., context: _Optional[_Union[RequestContext, _Mapping]] = ..., filter: _Optional[_Union[TrackFilter, _Mapping]] = ..., exclude: _Optional[_Union[Exclusion, _Mapping]] = ..., diversity: _Optional[float] = ..., objectives: _Optional[_Union[Objectives, _Mapping]] = ..., explain: bool = ..., models: _Optional[_Union[ModelSelector, _Mapping]] = ...) -> None: ...

class ModelSelector(_message.Message):
    __slots__ = ("label", "versions")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    label: str
    versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    def __init__(self, label: _Optional[str] = ..., versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("recommendation_id", "tracks", "model_versions", "index_version", "experiments", "degraded")
    RECOMMENDATION_ID_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    INDEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    recommendation_id: str
    tracks: _containers.RepeatedCompositeFieldContainer[RecommendedTrack]
    model_versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    index_version: str
    experiments: _containers.RepeatedCompositeFieldContainer[ExperimentArm]
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    def __init__(self, recommendation_id: _Optional[str] = ..., tracks: _Optional[_Iterable[_Union[RecommendedTrack, _Mapping]]] = ..., model_versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., index_version: _Optional[str] = ..., experiments: _Optional[_Iterable[_Union[ExperimentArm, _Mapping]]] = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ...) -> None: ...

class ExperimentArm(_message.Message):
    __slots__ = ("experiment", "arm", "propensity")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    experiment: str
    arm: str
    propensity: float
    def __init__(self, experiment: _Optional[str] = ..., arm: _Optional[str] = ..., propensity: _Optional[float] = ...) -> None: ...

class RecommendedTrack(_message.Message):
    __slots__ = ("track_id", "title", "artist", "score", "confidence", "contributions", "reasons")
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ARTIST_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    track_id: str
    title: str
    artist: str
    score: float
    confidence: float
    contributions: _containers.RepeatedCompositeFieldContainer[Contribution]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, track_id: _Optional[str] = ..., title: _Optional[str] = ..., artist: _Optional[str] = ..., score: _Optional[float] = ..., confidence: _Optional[float] = ..., contributions: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class Contribution(_message.Message):
    __slots__ = ("model", "weight", "value", "contribution")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    model: str
    weight: float
    value: float
    contribution: float
    def __init__(self, model: _Optional[str] = ..., weight: _Optional[float] = ..., value: _Optional[float] = ..., contribution: _Optional[float] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("model", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class Degradation(_message.Message):
    __slots__ = ("part", "reason", "detail")
    PART_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    part: str
    reason: DegradationReason
    detail: str
    def __init__(self, part: _Optional[str] = ..., reason: _Optional[_Union[DegradationReason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class SimilarTracksRequest(_message.Message):
    __slots__ = ("track_id", "features", "vector", "limit", "filter", "exclude", "models")
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    track_id: str
    features: _track_pb2.Track
    vector: FeatureVector
    limit: int
    filter: TrackFilter
    exclude: Exclusion
    models: ModelSelector
    def __init__(self, track_id: _Optional[str] = ..., features: _Optional[_Union[_track_pb2.Track, _Mapping]] = ..., vector: _Optional[_Union[FeatureVector, _Mapping]] = ..., limit: _Optional[int] = ..., filter: _Optional[_Union[TrackFilter, _Mapping]] = ..., exclude: _Optional[_Union[Exclusion, _Mapping]] = ..., models: _Optional[_Union[ModelSelector, _Mapping]] = ...) -> None: ...

class FeatureVector(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class SimilarTracksResponse(_message.Message):
    __slots__ = ("tracks", "model_versions", "index_version", "degraded")
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    INDEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    tracks: _containers.RepeatedCompositeFieldContainer[SimilarTrack]
    model_versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    index_version: str
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    def __init__(self, tracks: _Optional[_Iterable[_Union[SimilarTrack, _Mapping]]] = ..., model_versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., index_version: _Optional[str] = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ...) -> None: ...

class SimilarTrack(_message.Message):
    __slots__ = ("track_id", "title", "artist", "similarity")
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ARTIST_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    track_id: str
    title: str
    artist: str
    similarity: float
    def __init__(self, track_id: _Optional[str] = ..., title: _Optional[str] = ..., artist: _Optional[str] = ..., similarity: _Optional[float] = ...) -> None: ...

class RankTracksRequest(_message.Message):
    __slots__ = ("subject", "track_ids", "context", "explain", "models")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    subject: Subject
    track_ids: _containers.RepeatedScalarFieldContainer[str]
    context: RequestContext
    explain: bool
    models: ModelSelector
    def __init__(self, subject: _Optional[_Union[Subject, _Mapping]] = ..., track_ids: _Optional[_Iterable[str]] = ..., context: _Optional[_Union[RequestContext, _Mapping]] = ..., explain: bool = ..., models: _Optional[_Union[ModelSelector, _Mapping]] = ...) -> None: ...

class RankTracksResponse(_message.Message):
    __slots__ = ("recommendation_id", "tracks", "model_versions", "degraded")
    RECOMMENDATION_ID_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    recommendation_id: str
    tracks: _containers.RepeatedCompositeFieldContainer[RecommendedTrack]
    model_versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    def __init__(self, recommendation_id: _Optional[str] = ..., tracks: _Optional[_Iterable[_Union[RecommendedTrack, _Mapping]]] = ..., model_versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ...) -> None: ...

class ClassifyTracksRequest(_message.Message):
    __slots__ = ("track_ids", "tracks", "models")
    TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    track_ids: _containers.RepeatedScalarFieldContainer[str]
    tracks: _containers.RepeatedCompositeFieldContainer[_track_pb2.Track]
    models: ModelSelector
    def __init__(self, track_ids: _Optional[_Iterable[str]] = ..., tracks: _Optional[_Iterable[_Union[_track_pb2.Track, _Mapping]]] = ..., models: _Optional[_Union[ModelSelector, _Mapping]] = ...) -> None: ...

class ClassifyTracksResponse(_message.Message):
    __slots__ = ("tracks", "model_versions", "degraded")
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    tracks: _containers.RepeatedCompositeFieldContainer[ClassifiedTrack]
    model_versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    def __init__(self, tracks: _Optional[_Iterable[_Union[ClassifiedTrack, _Mapping]]] = ..., model_versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ...) -> None: ...

class ClassifiedTrack(_message.Message):
    __slots__ = ("track_id", "moods", "genres")
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    MOODS_FIELD_NUMBER: _ClassVar[int]
    GENRES_FIELD_NUMBER: _ClassVar[int]
    track_id: str
    moods: _containers.RepeatedCompositeFieldContainer[ClassProbability]
    genres: _containers.RepeatedCompositeFieldContainer[ClassProbability]
    def __init__(self, track_id: _Optional[str] = ..., moods: _Optional[_Iterable[_Union[ClassProbability, _Mapping]]] = ..., genres: _Optional[_Iterable[_Union[ClassProbability, _Mapping]]] = ...) -> None: ...

class ClassProbability(_message.Message):
    __slots__ = ("name", "probability")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    probability: float
    def __init__(self, name: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class ExplainRecommendationRequest(_message.Message):
    __slots__ = ("recommendation_id",)
    RECOMMENDATION_ID_FIELD_NUMBER: _ClassVar[int]
    recommendation_id: str
    def __init__(self, recommendation_id: _Optional[str] = ...) -> None: ...

class ExplainRecommendationResponse(_message.Message):
    __slots__ = ("recommendation_id", "created_at", "model_versions", "index_version", "listener_digest", "candidates", "not_replayed_reason", "max_abs_difference", "exact", "experiments")
    RECOMMENDATION_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    INDEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    LISTENER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    NOT_REPLAYED_REASON_FIELD_NUMBER: _ClassVar[int]
    MAX_ABS_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    recommendation_id: str
    created_at: _timestamp_pb2.Timestamp
    model_versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    index_version: str
    listener_digest: str
    candidates: _containers.RepeatedCompositeFieldContainer[ExplainedCandidate]
    not_replayed_reason: str
    max_abs_difference: float
    exact: bool
    experiments: _containers.RepeatedCompositeFieldContainer[ExperimentArm]
    def __init__(self, recommendation_id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model_versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., index_version: _Optional[str] = ..., listener_digest: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[ExplainedCandidate, _Mapping]]] = ..., not_replayed_reason: _Optional[str] = ..., max_abs_difference: _Optional[float] = ..., exact: bool = ..., experiments: _Optional[_Iterable[_Union[ExperimentArm, _Mapping]]] = ...) -> None: ...

class ExplainedCandidate(_message.Message):
    __slots__ = ("track_id", "rank", "recorded_score", "replayed")
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    RECORDED_SCORE_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    track_id: str
    rank: int
    recorded_score: float
    replayed: RecommendedTrack
    def __init__(self, track_id: _Optional[str] = ..., rank: _Optional[int] = ..., recorded_score: _Optional[float] = ..., replayed: _Optional[_Union[RecommendedTrack, _Mapping]] = ...) -> None: ...
