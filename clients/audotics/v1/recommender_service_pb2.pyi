from audotics.v1 import track_pb2 as _track_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Activity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTIVITY_UNSPECIFIED: _ClassVar[Activity]
    ACTIVITY_COMMUTING: _ClassVar[Activity]
    ACTIVITY_DINING: _ClassVar[Activity]
    ACTIVITY_EXERCISING: _ClassVar[Activity]
    ACTIVITY_PARTYING: _ClassVar[Activity]
    ACTIVITY_RELAXING: _ClassVar[Activity]
    ACTIVITY_SLEEPING: _ClassVar[Activity]
    ACTIVITY_STUDYING: _ClassVar[Activity]
    ACTIVITY_WORKING: _ClassVar[Activity]

class DegradationReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEGRADATION_REASON_UNSPECIFIED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_UNKNOWN_USER: _ClassVar[DegradationReason]
    DEGRADATION_REASON_UNAVAILABLE: _ClassVar[DegradationReason]
    DEGRADATION_REASON_FAILED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_DEADLINE: _ClassVar[DegradationReason]
    DEGRADATION_REASON_FEW_MATCHES: _ClassVar[DegradationReason]
    DEGRADATION_REASON_UNATTAINABLE: _ClassVar[DegradationReason]

class GroupStrategy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROUP_STRATEGY_UNSPECIFIED: _ClassVar[GroupStrategy]
    GROUP_STRATEGY_AVERAGE: _ClassVar[GroupStrategy]
    GROUP_STRATEGY_LEAST_MISERY: _ClassVar[GroupStrategy]
    GROUP_STRATEGY_MOST_PLEASURE: _ClassVar[GroupStrategy]
    GROUP_STRATEGY_FAIRNESS: _ClassVar[GroupStrategy]
    GROUP_STRATEGY_LEARNED_ATTENTION: _ClassVar[GroupStrategy]

class TasteFactorKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASTE_FACTOR_KIND_UNSPECIFIED: _ClassVar[TasteFactorKind]
    TASTE_FACTOR_KIND_GENRE: _ClassVar[TasteFactorKind]
    TASTE_FACTOR_KIND_MOOD: _ClassVar[TasteFactorKind]
    TASTE_FACTOR_KIND_ARTIST: _ClassVar[TasteFactorKind]
    TASTE_FACTOR_KIND_SOUND: _ClassVar[TasteFactorKind]
ACTIVITY_UNSPECIFIED: Activity
ACTIVITY_COMMUTING: Activity
ACTIVITY_DINING: Activity
ACTIVITY_EXERCISING: Activity
ACTIVITY_PARTYING: Activity
ACTIVITY_RELAXING: Activity
ACTIVITY_SLEEPING: Activity
ACTIVITY_STUDYING: Activity
ACTIVITY_WORKING: Activity
DEGRADATION_REASON_UNSPECIFIED: DegradationReason
DEGRADATION_REASON_UNKNOWN_USER: DegradationReason
DEGRADATION_REASON_UNAVAILABLE: DegradationReason
DEGRADATION_REASON_FAILED: DegradationReason
DEGRADATION_REASON_DEADLINE: DegradationReason
DEGRADATION_REASON_FEW_MATCHES: DegradationReason
DEGRADATION_REASON_UNATTAINABLE: DegradationReason
GROUP_STRATEGY_UNSPECIFIED: GroupStrategy
GROUP_STRATEGY_AVERAGE: GroupStrategy
GROUP_STRATEGY_LEAST_MISERY: GroupStrategy
GROUP_STRATEGY_MOST_PLEASURE: GroupStrategy
GROUP_STRATEGY_FAIRNESS: GroupStrategy
GROUP_STRATEGY_LEARNED_ATTENTION: GroupStrategy
TASTE_FACTOR_KIND_UNSPECIFIED: TasteFactorKind
TASTE_FACTOR_KIND_GENRE: TasteFactorKind
TASTE_FACTOR_KIND_MOOD: TasteFactorKind
TASTE_FACTOR_KIND_ARTIST: TasteFactorKind
TASTE_FACTOR_KIND_SOUND: TasteFactorKind

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
    __slots__ = ("mood", "genres", "activity", "local_time")
    MOOD_FIELD_NUMBER: _ClassVar[int]
    GENRES_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    LOCAL_TIME_FIELD_NUMBER: _ClassVar[int]
    mood: _track_pb2.Mood
    genres: _containers.RepeatedScalarFieldContainer[str]
    activity: Activity
    local_time: str
    def __init__(self, mood: _Optional[_Union[_track_pb2.Mood, str]] = ..., genres: _Optional[_Iterable[str]] = ..., activity: _Optional[_Union[Activity, str]] = ..., local_time: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("recommendation_id", "created_at", "model_versions", "index_version", "listener_digest", "candidates", "not_replayed_reason", "max_abs_difference", "exact", "experiments", "tilt")
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
    TILT_FIELD_NUMBER: _ClassVar[int]
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
    tilt: DrawnTilt
    def __init__(self, recommendation_id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model_versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., index_version: _Optional[str] = ..., listener_digest: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[ExplainedCandidate, _Mapping]]] = ..., not_replayed_reason: _Optional[str] = ..., max_abs_difference: _Optional[float] = ..., exact: bool = ..., experiments: _Optional[_Iterable[_Union[ExperimentArm, _Mapping]]] = ..., tilt: _Optional[_Union[DrawnTilt, _Mapping]] = ...) -> None: ...

class DrawnTilt(_message.Message):
    __slots__ = ("arm", "policy", "segment", "name", "propensity", "factors")
    class FactorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ARM_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    FACTORS_FIELD_NUMBER: _ClassVar[int]
    arm: str
    policy: int
    segment: str
    name: str
    propensity: float
    factors: _containers.ScalarMap[str, float]
    def __init__(self, arm: _Optional[str] = ..., policy: _Optional[int] = ..., segment: _Optional[str] = ..., name: _Optional[str] = ..., propensity: _Optional[float] = ..., factors: _Optional[_Mapping[str, float]] = ...) -> None: ...

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

class GroupMember(_message.Message):
    __slots__ = ("user_id", "weight")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    weight: float
    def __init__(self, user_id: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class RecommendGroupRequest(_message.Message):
    __slots__ = ("members", "limit", "context", "filter", "exclude", "diversity", "objectives", "explain", "models", "strategy", "fairness_floor", "include_heard", "session")
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVES_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_FLOOR_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_HEARD_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[GroupMember]
    limit: int
    context: RequestContext
    filter: TrackFilter
    exclude: Exclusion
    diversity: float
    objectives: Objectives
    explain: bool
    models: ModelSelector
    strategy: GroupStrategy
    fairness_floor: float
    include_heard: bool
    session: str
    def __init__(self, members: _Optional[_Iterable[_Union[GroupMember, _Mapping]]] = ..., limit: _Optional[int] = ..., context: _Optional[_Union[RequestContext, _Mapping]] = ..., filter: _Optional[_Union[TrackFilter, _Mapping]] = ..., exclude: _Optional[_Union[Exclusion, _Mapping]] = ..., diversity: _Optional[float] = ..., objectives: _Optional[_Union[Objectives, _Mapping]] = ..., explain: bool = ..., models: _Optional[_Union[ModelSelector, _Mapping]] = ..., strategy: _Optional[_Union[GroupStrategy, str]] = ..., fairness_floor: _Optional[float] = ..., include_heard: bool = ..., session: _Optional[str] = ...) -> None: ...

class RecommendGroupResponse(_message.Message):
    __slots__ = ("recommendation_id", "tracks", "model_versions", "index_version", "experiments", "degraded", "members", "harmony", "strategy")
    RECOMMENDATION_ID_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    INDEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    HARMONY_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    recommendation_id: str
    tracks: _containers.RepeatedCompositeFieldContainer[GroupTrack]
    model_versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    index_version: str
    experiments: _containers.RepeatedCompositeFieldContainer[ExperimentArm]
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    members: _containers.RepeatedCompositeFieldContainer[MemberSatisfaction]
    harmony: float
    strategy: GroupStrategy
    def __init__(self, recommendation_id: _Optional[str] = ..., tracks: _Optional[_Iterable[_Union[GroupTrack, _Mapping]]] = ..., model_versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., index_version: _Optional[str] = ..., experiments: _Optional[_Iterable[_Union[ExperimentArm, _Mapping]]] = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ..., members: _Optional[_Iterable[_Union[MemberSatisfaction, _Mapping]]] = ..., harmony: _Optional[float] = ..., strategy: _Optional[_Union[GroupStrategy, str]] = ...) -> None: ...

class GroupTrack(_message.Message):
    __slots__ = ("track_id", "title", "artist", "score", "chosen_for", "worth", "contributions", "reasons")
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ARTIST_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FOR_FIELD_NUMBER: _ClassVar[int]
    WORTH_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    track_id: str
    title: str
    artist: str
    score: float
    chosen_for: str
    worth: _containers.RepeatedScalarFieldContainer[float]
    contributions: _containers.RepeatedCompositeFieldContainer[Contribution]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, track_id: _Optional[str] = ..., title: _Optional[str] = ..., artist: _Optional[str] = ..., score: _Optional[float] = ..., chosen_for: _Optional[str] = ..., worth: _Optional[_Iterable[float]] = ..., contributions: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class MemberSatisfaction(_message.Message):
    __slots__ = ("user_id", "satisfaction", "weight")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SATISFACTION_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    satisfaction: float
    weight: float
    def __init__(self, user_id: _Optional[str] = ..., satisfaction: _Optional[float] = ..., weight: _Optional[float] = ...) -> None: ...

class ScoreCompatibilityRequest(_message.Message):
    __slots__ = ("user_ids", "models")
    USER_IDS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    user_ids: _containers.RepeatedScalarFieldContainer[str]
    models: ModelSelector
    def __init__(self, user_ids: _Optional[_Iterable[str]] = ..., models: _Optional[_Union[ModelSelector, _Mapping]] = ...) -> None: ...

class ScoreCompatibilityResponse(_message.Message):
    __slots__ = ("rows", "group_score", "facets", "shared", "dividing", "model_versions", "degraded")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    GROUP_SCORE_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    DIVIDING_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[CompatibilityRow]
    group_score: float
    facets: _containers.RepeatedCompositeFieldContainer[CompatibilityFacet]
    shared: _containers.RepeatedCompositeFieldContainer[TasteFactor]
    dividing: _containers.RepeatedCompositeFieldContainer[TasteFactor]
    model_versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    def __init__(self, rows: _Optional[_Iterable[_Union[CompatibilityRow, _Mapping]]] = ..., group_score: _Optional[float] = ..., facets: _Optional[_Iterable[_Union[CompatibilityFacet, _Mapping]]] = ..., shared: _Optional[_Iterable[_Union[TasteFactor, _Mapping]]] = ..., dividing: _Optional[_Iterable[_Union[TasteFactor, _Mapping]]] = ..., model_versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ...) -> None: ...

class CompatibilityRow(_message.Message):
    __slots__ = ("user_id", "scores")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    scores: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, user_id: _Optional[str] = ..., scores: _Optional[_Iterable[float]] = ...) -> None: ...

class CompatibilityFacet(_message.Message):
    __slots__ = ("name", "score")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    name: str
    score: float
    def __init__(self, name: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class TasteFactor(_message.Message):
    __slots__ = ("kind", "name", "values", "sentence")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    kind: TasteFactorKind
    name: str
    values: _containers.RepeatedScalarFieldContainer[float]
    sentence: str
    def __init__(self, kind: _Optional[_Union[TasteFactorKind, str]] = ..., name: _Optional[str] = ..., values: _Optional[_Iterable[float]] = ..., sentence: _Optional[str] = ...) -> None: ...

class AnalyzeTasteRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class AnalyzeTasteResponse(_message.Message):
    __slots__ = ("user_id", "track_count", "genres", "moods", "artists", "genre_diversity", "mood_diversity", "audio", "pattern", "trends", "insights", "degraded")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TRACK_COUNT_FIELD_NUMBER: _ClassVar[int]
    GENRES_FIELD_NUMBER: _ClassVar[int]
    MOODS_FIELD_NUMBER: _ClassVar[int]
    ARTISTS_FIELD_NUMBER: _ClassVar[int]
    GENRE_DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    MOOD_DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    TRENDS_FIELD_NUMBER: _ClassVar[int]
    INSIGHTS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    track_count: int
    genres: _containers.RepeatedCompositeFieldContainer[TasteShare]
    moods: _containers.RepeatedCompositeFieldContainer[TasteShare]
    artists: _containers.RepeatedCompositeFieldContainer[TasteShare]
    genre_diversity: float
    mood_diversity: float
    audio: _containers.RepeatedCompositeFieldContainer[AudioTrait]
    pattern: ListeningPattern
    trends: _containers.RepeatedCompositeFieldContainer[TasteTrend]
    insights: _containers.RepeatedScalarFieldContainer[str]
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    def __init__(self, user_id: _Optional[str] = ..., track_count: _Optional[int] = ..., genres: _Optional[_Iterable[_Union[TasteShare, _Mapping]]] = ..., moods: _Optional[_Iterable[_Union[TasteShare, _Mapping]]] = ..., artists: _Optional[_Iterable[_Union[TasteShare, _Mapping]]] = ..., genre_diversity: _Optional[float] = ..., mood_diversity: _Optional[float] = ..., audio: _Optional[_Iterable[_Union[AudioTrait, _Mapping]]] = ..., pattern: _Optional[_Union[ListeningPattern, _Mapping]] = ..., trends: _Optional[_Iterable[_Union[TasteTrend, _Mapping]]] = ..., insights: _Optional[_Iterable[str]] = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ...) -> None: ...

class TasteShare(_message.Message):
    __slots__ = ("name", "share")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    name: str
    share: float
    def __init__(self, name: _Optional[str] = ..., share: _Optional[float] = ...) -> None: ...

class AudioTrait(_message.Message):
    __slots__ = ("feature", "mean", "standard_deviation", "catalog_mean", "deviation")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STANDARD_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    CATALOG_MEAN_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_FIELD_NUMBER: _ClassVar[int]
    feature: str
    mean: float
    standard_deviation: float
    catalog_mean: float
    deviation: float
    def __init__(self, feature: _Optional[str] = ..., mean: _Optional[float] = ..., standard_deviation: _Optional[float] = ..., catalog_mean: _Optional[float] = ..., deviation: _Optional[float] = ...) -> None: ...

class ListeningPattern(_message.Message):
    __slots__ = ("event_count", "local_event_count", "hours", "weekdays")
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    LOCAL_EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    HOURS_FIELD_NUMBER: _ClassVar[int]
    WEEKDAYS_FIELD_NUMBER: _ClassVar[int]
    event_count: int
    local_event_count: int
    hours: _containers.RepeatedScalarFieldContainer[int]
    weekdays: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, event_count: _Optional[int] = ..., local_event_count: _Optional[int] = ..., hours: _Optional[_Iterable[int]] = ..., weekdays: _Optional[_Iterable[int]] = ...) -> None: ...

class TasteTrend(_message.Message):
    __slots__ = ("kind", "name", "earlier_share", "recent_share")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EARLIER_SHARE_FIELD_NUMBER: _ClassVar[int]
    RECENT_SHARE_FIELD_NUMBER: _ClassVar[int]
    kind: TasteFactorKind
    name: str
    earlier_share: float
    recent_share: float
    def __init__(self, kind: _Optional[_Union[TasteFactorKind, str]] = ..., name: _Optional[str] = ..., earlier_share: _Optional[float] = ..., recent_share: _Optional[float] = ...) -> None: ...

class WatchRecommendationsRequest(_message.Message):
    __slots__ = ("recommend", "recommend_group")
    RECOMMEND_FIELD_NUMBER: _ClassVar[int]
    RECOMMEND_GROUP_FIELD_NUMBER: _ClassVar[int]
    recommend: RecommendRequest
    recommend_group: RecommendGroupRequest
    def __init__(self, recommend: _Optional[_Union[RecommendRequest, _Mapping]] = ..., recommend_group: _Optional[_Union[RecommendGroupRequest, _Mapping]] = ...) -> None: ...

class WatchRecommendationsResponse(_message.Message):
    __slots__ = ("recommendation", "group_recommendation")
    RECOMMENDATION_FIELD_NUMBER: _ClassVar[int]
    GROUP_RECOMMENDATION_FIELD_NUMBER: _ClassVar[int]
    recommendation: RecommendResponse
    group_recommendation: RecommendGroupResponse
    def __init__(self, recommendation: _Optional[_Union[RecommendResponse, _Mapping]] = ..., group_recommendation: _Optional[_Union[RecommendGroupResponse, _Mapping]] = ...) -> None: ...
