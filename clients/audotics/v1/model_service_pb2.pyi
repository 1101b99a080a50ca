from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VersionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERSION_STATE_UNSPECIFIED: _ClassVar[VersionState]
    VERSION_STATE_ON_DISK: _ClassVar[VersionState]
    VERSION_STATE_IN_SERVICE: _ClassVar[VersionState]
    VERSION_STATE_REFUSED: _ClassVar[VersionState]
    VERSION_STATE_LOADED: _ClassVar[VersionState]

class ModelEvent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_EVENT_UNSPECIFIED: _ClassVar[ModelEvent]
    MODEL_EVENT_IN_SERVICE: _ClassVar[ModelEvent]
    MODEL_EVENT_BACK_IN_SERVICE: _ClassVar[ModelEvent]
    MODEL_EVENT_OUT_OF_SERVICE: _ClassVar[ModelEvent]
    MODEL_EVENT_LOADED: _ClassVar[ModelEvent]
    MODEL_EVENT_UNLOADED: _ClassVar[ModelEvent]
    MODEL_EVENT_EVICTED: _ClassVar[ModelEvent]
    MODEL_EVENT_REFUSED: _ClassVar[ModelEvent]
    MODEL_EVENT_LABELLED: _ClassVar[ModelEvent]
    MODEL_EVENT_UNLABELLED: _ClassVar[ModelEvent]

class ModelEventOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_EVENT_ORIGIN_UNSPECIFIED: _ClassVar[ModelEventOrigin]
    MODEL_EVENT_ORIGIN_START: _ClassVar[ModelEventOrigin]
    MODEL_EVENT_ORIGIN_REPOSITORY: _ClassVar[ModelEventOrigin]
    MODEL_EVENT_ORIGIN_OPERATOR: _ClassVar[ModelEventOrigin]
    MODEL_EVENT_ORIGIN_EXPERIMENT: _ClassVar[ModelEventOrigin]
    MODEL_EVENT_ORIGIN_PROBATION: _ClassVar[ModelEventOrigin]
VERSION_STATE_UNSPECIFIED: VersionState
VERSION_STATE_ON_DISK: VersionState
VERSION_STATE_IN_SERVICE: VersionState
VERSION_STATE_REFUSED: VersionState
VERSION_STATE_LOADED: VersionState
MODEL_EVENT_UNSPECIFIED: ModelEvent
MODEL_EVENT_IN_SERVICE: ModelEvent
MODEL_EVENT_BACK_IN_SERVICE: ModelEvent
MODEL_EVENT_OUT_OF_SERVICE: ModelEvent
MODEL_EVENT_LOADED: ModelEvent
MODEL_EVENT_UNLOADED: ModelEvent
MODEL_EVENT_EVICTED: ModelEvent
MODEL_EVENT_REFUSED: ModelEvent
MODEL_EVENT_LABELLED: ModelEvent
MODEL_EVENT_UNLABELLED: ModelEvent
MODEL_EVENT_ORIGIN_UNSPECIFIED: ModelEventOrigin
MODEL_EVENT_ORIGIN_START: ModelEventOrigin
MODEL_EVENT_ORIGIN_REPOSITORY: ModelEventOrigin
MODEL_EVENT_ORIGIN_OPERATOR: ModelEventOrigin
MODEL_EVENT_ORIGIN_EXPERIMENT: ModelEventOrigin
MODEL_EVENT_ORIGIN_PROBATION: ModelEventOrigin

class Model(_message.Message):
    __slots__ = ("name", "kind", "versions", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    versions: _containers.RepeatedCompositeFieldContainer[VersionInfo]
    labels: _containers.ScalarMap[str, int]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., versions: _Optional[_Iterable[_Union[VersionInfo, _Mapping]]] = ..., labels: _Optional[_Mapping[str, int]] = ...) -> None: ...

class VersionInfo(_message.Message):
    __slots__ = ("version", "state", "reason", "created_at", "framework", "metrics", "inputs", "outputs", "size_bytes", "parity_max_abs_diff", "device")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PARITY_MAX_ABS_DIFF_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    version: int
    state: VersionState
    reason: str
    created_at: _timestamp_pb2.Timestamp
    framework: str
    metrics: _containers.ScalarMap[str, float]
    inputs: _containers.RepeatedCompositeFieldContainer[TensorInfo]
    outputs: _containers.RepeatedCompositeFieldContainer[TensorInfo]
    size_bytes: int
    parity_max_abs_diff: float
    device: str
    def __init__(self, version: _Optional[int] = ..., state: _Optional[_Union[VersionState, str]] = ..., reason: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., framework: _Optional[str] = ..., metrics: _Optional[_Mapping[str, float]] = ..., inputs: _Optional[_Iterable[_Union[TensorInfo, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[TensorInfo, _Mapping]]] = ..., size_bytes: _Optional[int] = ..., parity_max_abs_diff: _Optional[float] = ..., device: _Optional[str] = ...) -> None: ...

class TensorInfo(_message.Message):
    __slots__ = ("name", "dtype", "shape")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., dtype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class LoadVersionRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class LoadVersionResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class UnloadVersionRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class UnloadVersionResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class SetLabelRequest(_message.Message):
    __slots__ = ("name", "label", "version", "force")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    label: str
    version: int
    force: bool
    def __init__(self, name: _Optional[str] = ..., label: _Optional[str] = ..., version: _Optional[int] = ..., force: bool = ...) -> None: ...

class SetLabelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class GetShadowReportRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetShadowReportResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: ShadowReport
    def __init__(self, report: _Optional[_Union[ShadowReport, _Mapping]] = ...) -> None: ...

class ShadowReport(_message.Message):
    __slots__ = ("versions", "request_count", "failure_count", "skipped_count", "overlap_at_k", "k", "score_drift", "served_ms", "shadow_ms")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_AT_K_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    SCORE_DRIFT_FIELD_NUMBER: _ClassVar[int]
    SERVED_MS_FIELD_NUMBER: _ClassVar[int]
    SHADOW_MS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.ScalarMap[str, int]
    request_count: int
    failure_count: int
    skipped_count: int
    overlap_at_k: float
    k: int
    score_drift: float
    served_ms: float
    shadow_ms: float
    def __init__(self, versions: _Optional[_Mapping[str, int]] = ..., request_count: _Optional[int] = ..., failure_count: _Optional[int] = ..., skipped_count: _Optional[int] = ..., overlap_at_k: _Optional[float] = ..., k: _Optional[int] = ..., score_drift: _Optional[float] = ..., served_ms: _Optional[float] = ..., shadow_ms: _Optional[float] = ...) -> None: ...

class ListIndexesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListIndexesResponse(_message.Message):
    __slots__ = ("indexes",)
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    indexes: _containers.RepeatedCompositeFieldContainer[VectorIndex]
    def __init__(self, indexes: _Optional[_Iterable[_Union[VectorIndex, _Mapping]]] = ...) -> None: ...

class VectorIndex(_message.Message):
    __slots__ = ("name", "version", "kind", "settings", "metric", "dimension", "vector_count", "changed_count", "deleted_count", "in_service", "built")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    VECTOR_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    IN_SERVICE_FIELD_NUMBER: _ClassVar[int]
    BUILT_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    kind: str
    settings: str
    metric: str
    dimension: int
    vector_count: int
    changed_count: int
    deleted_count: int
    in_service: bool
    built: BuiltRecall
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., kind: _Optional[str] = ..., settings: _Optional[str] = ..., metric: _Optional[str] = ..., dimension: _Optional[int] = ..., vector_count: _Optional[int] = ..., changed_count: _Optional[int] = ..., deleted_count: _Optional[int] = ..., in_service: bool = ..., built: _Optional[_Union[BuiltRecall, _Mapping]] = ...) -> None: ...

class BuiltRecall(_message.Message):
    __slots__ = ("k", "target", "measured", "query_count")
    K_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    QUERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    k: int
    target: float
    measured: float
    query_count: int
    def __init__(self, k: _Optional[int] = ..., target: _Optional[float] = ..., measured: _Optional[float] = ..., query_count: _Optional[int] = ...) -> None: ...

class RebuildIndexRequest(_message.Message):
    __slots__ = ("name", "version", "retrain")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RETRAIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    retrain: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., retrain: bool = ...) -> None: ...

class RebuildIndexResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: VectorIndex
    def __init__(self, index: _Optional[_Union[VectorIndex, _Mapping]] = ...) -> None: ...

class GetRecallReportRequest(_message.Message):
    __slots__ = ("measure",)
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    measure: bool
    def __init__(self, measure: bool = ...) -> None: ...

class GetRecallReportResponse(_message.Message):
    __slots__ = ("indexes", "sample_share", "sampled_count", "skipped_count", "blocked_count", "completed_count", "exact_filtered_count", "indexed_filtered_count", "device_fallback_count")
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_SHARE_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXACT_FILTERED_COUNT_FIELD_NUMBER: _ClassVar[int]
    INDEXED_FILTERED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FALLBACK_COUNT_FIELD_NUMBER: _ClassVar[int]
    indexes: _containers.RepeatedCompositeFieldContainer[IndexRecall]
    sample_share: float
    sampled_count: int
    skipped_count: int
    blocked_count: int
    completed_count: int
    exact_filtered_count: int
    indexed_filtered_count: int
    device_fallback_count: int
    def __init__(self, indexes: _Optional[_Iterable[_Union[IndexRecall, _Mapping]]] = ..., sample_share: _Optional[float] = ..., sampled_count: _Optional[int] = ..., skipped_count: _Optional[int] = ..., blocked_count: _Optional[int] = ..., completed_count: _Optional[int] = ..., exact_filtered_count: _Optional[int] = ..., indexed_filtered_count: _Optional[int] = ..., device_fallback_count: _Optional[int] = ...) -> None: ...

class IndexRecall(_message.Message):
    __slots__ = ("name", "version", "built", "live", "live_count", "held_out")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BUILT_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    LIVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    HELD_OUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    built: BuiltRecall
    live: float
    live_count: int
    held_out: float
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., built: _Optional[_Union[BuiltRecall, _Mapping]] = ..., live: _Optional[float] = ..., live_count: _Optional[int] = ..., held_out: _Optional[float] = ...) -> None: ...

class ModelRecord(_message.Message):
    __slots__ = ("occurred_at", "server", "model", "version", "event", "origin", "caller", "replaced_version", "label", "reason", "digest")
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    REPLACED_VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    occurred_at: _timestamp_pb2.Timestamp
    server: str
    model: str
    version: int
    event: ModelEvent
    origin: ModelEventOrigin
    caller: str
    replaced_version: int
    label: str
    reason: str
    digest: str
    def __init__(self, occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., server: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[int] = ..., event: _Optional[_Union[ModelEvent, str]] = ..., origin: _Optional[_Union[ModelEventOrigin, str]] = ..., caller: _Optional[str] = ..., replaced_version: _Optional[int] = ..., label: _Optional[str] = ..., reason: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class ListModelRecordsRequest(_message.Message):
    __slots__ = ("model", "before", "page_size", "page_token")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    model: str
    before: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, model: _Optional[str] = ..., before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelRecordsResponse(_message.Message):
    __slots__ = ("records", "next_page_token")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[ModelRecord]
    next_page_token: str
    def __init__(self, records: _Optional[_Iterable[_Union[ModelRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
