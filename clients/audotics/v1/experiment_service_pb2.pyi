from audotics.v1 import recommender_service_pb2 as _recommender_service_pb2
from audotics.v1 import track_pb2 as _track_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Metric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METRIC_UNSPECIFIED: _ClassVar[Metric]
    METRIC_ENGAGEMENT: _ClassVar[Metric]
    METRIC_COMPLETION: _ClassVar[Metric]
    METRIC_SKIP_RATE: _ClassVar[Metric]
    METRIC_PLAYLIST_CREATION: _ClassVar[Metric]
    METRIC_GROUP_ACTIVITY: _ClassVar[Metric]
    METRIC_DIVERSITY: _ClassVar[Metric]
    METRIC_SATISFACTION: _ClassVar[Metric]

class ExperimentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPERIMENT_STATE_UNSPECIFIED: _ClassVar[ExperimentState]
    EXPERIMENT_STATE_RUNNING: _ClassVar[ExperimentState]
    EXPERIMENT_STATE_STOPPED: _ClassVar[ExperimentState]

class ExperimentEvent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPERIMENT_EVENT_UNSPECIFIED: _ClassVar[ExperimentEvent]
    EXPERIMENT_EVENT_CREATED: _ClassVar[ExperimentEvent]
    EXPERIMENT_EVENT_TRAFFIC_SET: _ClassVar[ExperimentEvent]
    EXPERIMENT_EVENT_ARM_STOPPED: _ClassVar[ExperimentEvent]
    EXPERIMENT_EVENT_STOPPED: _ClassVar[ExperimentEvent]
    EXPERIMENT_EVENT_PROMOTED: _ClassVar[ExperimentEvent]

class Estimator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ESTIMATOR_UNSPECIFIED: _ClassVar[Estimator]
    ESTIMATOR_IPS: _ClassVar[Estimator]
    ESTIMATOR_SNIPS: _ClassVar[Estimator]
    ESTIMATOR_DOUBLY_ROBUST: _ClassVar[Estimator]
METRIC_UNSPECIFIED: Metric
METRIC_ENGAGEMENT: Metric
METRIC_COMPLETION: Metric
METRIC_SKIP_RATE: Metric
METRIC_PLAYLIST_CREATION: Metric
METRIC_GROUP_ACTIVITY: Metric
METRIC_DIVERSITY: Metric
METRIC_SATISFACTION: Metric
EXPERIMENT_STATE_UNSPECIFIED: ExperimentState
EXPERIMENT_STATE_RUNNING: ExperimentState
EXPERIMENT_STATE_STOPPED: ExperimentState
EXPERIMENT_EVENT_UNSPECIFIED: ExperimentEvent
EXPERIMENT_EVENT_CREATED: ExperimentEvent
EXPERIMENT_EVENT_TRAFFIC_SET: ExperimentEvent
EXPERIMENT_EVENT_ARM_STOPPED: ExperimentEvent
EXPERIMENT_EVENT_STOPPED: ExperimentEvent
EXPERIMENT_EVENT_PROMOTED: ExperimentEvent
ESTIMATOR_UNSPECIFIED: Estimator
ESTIMATOR_IPS: Estimator
ESTIMATOR_SNIPS: Estimator
ESTIMATOR_DOUBLY_ROBUST: Estimator

class Experiment(_message.Message):
    __slots__ = ("name", "description", "layer", "traffic_share", "arms", "control", "metric", "window", "smallest_lift", "guardrails", "overrides", "state", "created_at", "stopped_at", "records")
    class OverridesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_SHARE_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_LIFT_FIELD_NUMBER: _ClassVar[int]
    GUARDRAILS_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STOPPED_AT_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    layer: str
    traffic_share: float
    arms: _containers.RepeatedCompositeFieldContainer[Arm]
    control: str
    metric: Metric
    window: _duration_pb2.Duration
    smallest_lift: float
    guardrails: Guardrails
    overrides: _containers.ScalarMap[str, str]
    state: ExperimentState
    created_at: _timestamp_pb2.Timestamp
    stopped_at: _timestamp_pb2.Timestamp
    records: _containers.RepeatedCompositeFieldContainer[ExperimentRecord]
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., layer: _Optional[str] = ..., traffic_share: _Optional[float] = ..., arms: _Optional[_Iterable[_Union[Arm, _Mapping]]] = ..., control: _Optional[str] = ..., metric: _Optional[_Union[Metric, str]] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., smallest_lift: _Optional[float] = ..., guardrails: _Optional[_Union[Guardrails, _Mapping]] = ..., overrides: _Optional[_Mapping[str, str]] = ..., state: _Optional[_Union[ExperimentState, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stopped_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., records: _Optional[_Iterable[_Union[ExperimentRecord, _Mapping]]] = ...) -> None: ...

class Arm(_message.Message):
    __slots__ = ("name", "share", "models", "diversity", "objectives", "component_weights", "pipeline", "stopped_reason")
    class ComponentWeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVES_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    STOPPED_REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    share: float
    models: _recommender_service_pb2.ModelSelector
    diversity: float
    objectives: _recommender_service_pb2.Objectives
    component_weights: _containers.ScalarMap[str, float]
    pipeline: PipelineSettings
    stopped_reason: str
    def __init__(self, name: _Optional[str] = ..., share: _Optional[float] = ..., models: _Optional[_Union[_recommender_service_pb2.ModelSelector, _Mapping]] = ..., diversity: _Optional[float] = ..., objectives: _Optional[_Union[_recommender_service_pb2.Objectives, _Mapping]] = ..., component_weights: _Optional[_Mapping[str, float]] = ..., pipeline: _Optional[_Union[PipelineSettings, _Mapping]] = ..., stopped_reason: _Optional[str] = ...) -> None: ...

class PipelineSettings(_message.Message):
    __slots__ = ("collaborative_candidates", "content_interests", "candidates_per_interest", "context_candidates", "minimum_candidates", "artist_cap")
    COLLABORATIVE_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_INTERESTS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_PER_INTEREST_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    ARTIST_CAP_FIELD_NUMBER: _ClassVar[int]
    collaborative_candidates: int
    content_interests: int
    candidates_per_interest: int
    context_candidates: int
    minimum_candidates: int
    artist_cap: int
    def __init__(self, collaborative_candidates: _Optional[int] = ..., content_interests: _Optional[int] = ..., candidates_per_interest: _Optional[int] = ..., context_candidates: _Optional[int] = ..., minimum_candidates: _Optional[int] = ..., artist_cap: _Optional[int] = ...) -> None: ...

class Guardrails(_message.Message):
    __slots__ = ("max_error_increase", "max_latency_increase", "max_diversity_drop")
    MAX_ERROR_INCREASE_FIELD_NUMBER: _ClassVar[int]
    MAX_LATENCY_INCREASE_FIELD_NUMBER: _ClassVar[int]
    MAX_DIVERSITY_DROP_FIELD_NUMBER: _ClassVar[int]
    max_error_increase: float
    max_latency_increase: float
    max_diversity_drop: float
    def __init__(self, max_error_increase: _Optional[float] = ..., max_latency_increase: _Optional[float] = ..., max_diversity_drop: _Optional[float] = ...) -> None: ...

class ExperimentRecord(_message.Message):
    __slots__ = ("at", "event", "arm", "detail")
    AT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    event: ExperimentEvent
    arm: str
    detail: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., event: _Optional[_Union[ExperimentEvent, str]] = ..., arm: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class CreateExperimentRequest(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ...) -> None: ...

class CreateExperimentResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ...) -> None: ...

class GetExperimentRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetExperimentResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ...) -> None: ...

class ListExperimentsRequest(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: ExperimentState
    def __init__(self, state: _Optional[_Union[ExperimentState, str]] = ...) -> None: ...

class ListExperimentsResponse(_message.Message):
    __slots__ = ("experiments",)
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    experiments: _containers.RepeatedCompositeFieldContainer[Experiment]
    def __init__(self, experiments: _Optional[_Iterable[_Union[Experiment, _Mapping]]] = ...) -> None: ...

class SetTrafficRequest(_message.Message):
    __slots__ = ("name", "traffic_share")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_SHARE_FIELD_NUMBER: _ClassVar[int]
    name: str
    traffic_share: float
    def __init__(self, name: _Optional[str] = ..., traffic_share: _Optional[float] = ...) -> None: ...

class SetTrafficResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ...) -> None: ...

class StopExperimentRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class StopExperimentResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ...) -> None: ...

class PromoteArmRequest(_message.Message):
    __slots__ = ("name", "arm", "label", "force")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    arm: str
    label: str
    force: bool
    def __init__(self, name: _Optional[str] = ..., arm: _Optional[str] = ..., label: _Optional[str] = ..., force: bool = ...) -> None: ...

class PromoteArmResponse(_message.Message):
    __slots__ = ("experiment", "promoted")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    promoted: _containers.RepeatedCompositeFieldContainer[_recommender_service_pb2.ModelVersion]
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ..., promoted: _Optional[_Iterable[_Union[_recommender_service_pb2.ModelVersion, _Mapping]]] = ...) -> None: ...

class ReportExperimentRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ReportExperimentResponse(_message.Message):
    __slots__ = ("experiment", "arms", "comparisons", "sample_ratio", "winner", "notes")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    COMPARISONS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATIO_FIELD_NUMBER: _ClassVar[int]
    WINNER_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    arms: _containers.RepeatedCompositeFieldContainer[ArmReport]
    comparisons: _containers.RepeatedCompositeFieldContainer[Comparison]
    sample_ratio: SampleRatio
    winner: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ..., arms: _Optional[_Iterable[_Union[ArmReport, _Mapping]]] = ..., comparisons: _Optional[_Iterable[_Union[Comparison, _Mapping]]] = ..., sample_ratio: _Optional[_Union[SampleRatio, _Mapping]] = ..., winner: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class ArmReport(_message.Message):
    __slots__ = ("arm", "listeners", "observed_listeners", "lists", "metrics")
    ARM_FIELD_NUMBER: _ClassVar[int]
    LISTENERS_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_LISTENERS_FIELD_NUMBER: _ClassVar[int]
    LISTS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    arm: str
    listeners: int
    observed_listeners: int
    lists: int
    metrics: _containers.RepeatedCompositeFieldContainer[MetricValue]
    def __init__(self, arm: _Optional[str] = ..., listeners: _Optional[int] = ..., observed_listeners: _Optional[int] = ..., lists: _Optional[int] = ..., metrics: _Optional[_Iterable[_Union[MetricValue, _Mapping]]] = ...) -> None: ...

class MetricValue(_message.Message):
    __slots__ = ("metric", "value")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    metric: Metric
    value: float
    def __init__(self, metric: _Optional[_Union[Metric, str]] = ..., value: _Optional[float] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("arm", "metric", "lift", "low", "high", "p_value")
    ARM_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    LIFT_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    arm: str
    metric: Metric
    lift: float
    low: float
    high: float
    p_value: float
    def __init__(self, arm: _Optional[str] = ..., metric: _Optional[_Union[Metric, str]] = ..., lift: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., p_value: _Optional[float] = ...) -> None: ...

class SampleRatio(_message.Message):
    __slots__ = ("p_value", "alarm", "expected_listeners")
    class ExpectedListenersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    ALARM_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LISTENERS_FIELD_NUMBER: _ClassVar[int]
    p_value: float
    alarm: bool
    expected_listeners: _containers.ScalarMap[str, float]
    def __init__(self, p_value: _Optional[float] = ..., alarm: bool = ..., expected_listeners: _Optional[_Mapping[str, float]] = ...) -> None: ...

class PolicyRule(_message.Message):
    __slots__ = ("min_history", "max_history", "moods", "arms")
    class ArmsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MIN_HISTORY_FIELD_NUMBER: _ClassVar[int]
    MAX_HISTORY_FIELD_NUMBER: _ClassVar[int]
    MOODS_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    min_history: int
    max_history: int
    moods: _containers.RepeatedScalarFieldContainer[_track_pb2.Mood]
    arms: _containers.ScalarMap[str, float]
    def __init__(self, min_history: _Optional[int] = ..., max_history: _Optional[int] = ..., moods: _Optional[_Iterable[_Union[_track_pb2.Mood, str]]] = ..., arms: _Optional[_Mapping[str, float]] = ...) -> None: ...

class EvaluatePolicyRequest(_message.Message):
    __slots__ = ("name", "rules", "metric", "clip")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    CLIP_FIELD_NUMBER: _ClassVar[int]
    name: str
    rules: _containers.RepeatedCompositeFieldContainer[PolicyRule]
    metric: Metric
    clip: float
    def __init__(self, name: _Optional[str] = ..., rules: _Optional[_Iterable[_Union[PolicyRule, _Mapping]]] = ..., metric: _Optional[_Union[Metric, str]] = ..., clip: _Optional[float] = ...) -> None: ...

class EvaluatePolicyResponse(_message.Message):
    __slots__ = ("estimates", "logged_value", "lists", "listeners", "effective_lists")
    ESTIMATES_FIELD_NUMBER: _ClassVar[int]
    LOGGED_VALUE_FIELD_NUMBER: _ClassVar[int]
    LISTS_FIELD_NUMBER: _ClassVar[int]
    LISTENERS_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_LISTS_FIELD_NUMBER: _ClassVar[int]
    estimates: _containers.RepeatedCompositeFieldContainer[PolicyEstimate]
    logged_value: float
    lists: int
    listeners: int
    effective_lists: float
    def __init__(self, estimates: _Optional[_Iterable[_Union[PolicyEstimate, _Mapping]]] = ..., logged_value: _Optional[float] = ..., lists: _Optional[int] = ..., listeners: _Optional[int] = ..., effective_lists: _Optional[float] = ...) -> None: ...

class PolicyEstimate(_message.Message):
    __slots__ = ("estimator", "value", "low", "high")
    ESTIMATOR_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    estimator: Estimator
    value: float
    low: float
    high: float
    def __init__(self, estimator: _Optional[_Union[Estimator, str]] = ..., value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...
