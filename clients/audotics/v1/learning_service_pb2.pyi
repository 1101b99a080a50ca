from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TiltUpdateOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TILT_UPDATE_OUTCOME_UNSPECIFIED: _ClassVar[TiltUpdateOutcome]
    TILT_UPDATE_OUTCOME_PUBLISHED: _ClassVar[TiltUpdateOutcome]
    TILT_UPDATE_OUTCOME_DROPPED: _ClassVar[TiltUpdateOutcome]
    TILT_UPDATE_OUTCOME_REVERTED: _ClassVar[TiltUpdateOutcome]
    TILT_UPDATE_OUTCOME_RESTARTED: _ClassVar[TiltUpdateOutcome]
TILT_UPDATE_OUTCOME_UNSPECIFIED: TiltUpdateOutcome
TILT_UPDATE_OUTCOME_PUBLISHED: TiltUpdateOutcome
TILT_UPDATE_OUTCOME_DROPPED: TiltUpdateOutcome
TILT_UPDATE_OUTCOME_REVERTED: TiltUpdateOutcome
TILT_UPDATE_OUTCOME_RESTARTED: TiltUpdateOutcome

class TiltPolicy(_message.Message):
    __slots__ = ("arm", "number", "segments", "hybrid_version")
    ARM_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    HYBRID_VERSION_FIELD_NUMBER: _ClassVar[int]
    arm: str
    number: int
    segments: _containers.RepeatedCompositeFieldContainer[TiltSegment]
    hybrid_version: int
    def __init__(self, arm: _Optional[str] = ..., number: _Optional[int] = ..., segments: _Optional[_Iterable[_Union[TiltSegment, _Mapping]]] = ..., hybrid_version: _Optional[int] = ...) -> None: ...

class TiltSegment(_message.Message):
    __slots__ = ("segment", "probabilities")
    class ProbabilitiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    segment: str
    probabilities: _containers.ScalarMap[str, float]
    def __init__(self, segment: _Optional[str] = ..., probabilities: _Optional[_Mapping[str, float]] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("value", "low", "high")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    value: float
    low: float
    high: float
    def __init__(self, value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class TiltEvidence(_message.Message):
    __slots__ = ("decision_count", "listener_count", "before", "after", "difference")
    DECISION_COUNT_FIELD_NUMBER: _ClassVar[int]
    LISTENER_COUNT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    decision_count: int
    listener_count: int
    before: Estimate
    after: Estimate
    difference: Estimate
    def __init__(self, decision_count: _Optional[int] = ..., listener_count: _Optional[int] = ..., before: _Optional[_Union[Estimate, _Mapping]] = ..., after: _Optional[_Union[Estimate, _Mapping]] = ..., difference: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...

class TiltUpdate(_message.Message):
    __slots__ = ("arm", "number", "outcome", "created_at", "replaced", "reason", "evidence", "policy")
    ARM_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    arm: str
    number: int
    outcome: TiltUpdateOutcome
    created_at: _timestamp_pb2.Timestamp
    replaced: int
    reason: str
    evidence: TiltEvidence
    policy: TiltPolicy
    def __init__(self, arm: _Optional[str] = ..., number: _Optional[int] = ..., outcome: _Optional[_Union[TiltUpdateOutcome, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replaced: _Optional[int] = ..., reason: _Optional[str] = ..., evidence: _Optional[_Union[TiltEvidence, _Mapping]] = ..., policy: _Optional[_Union[TiltPolicy, _Mapping]] = ...) -> None: ...

class GetTiltPolicyRequest(_message.Message):
    __slots__ = ("arm",)
    ARM_FIELD_NUMBER: _ClassVar[int]
    arm: str
    def __init__(self, arm: _Optional[str] = ...) -> None: ...

class GetTiltPolicyResponse(_message.Message):
    __slots__ = ("learning", "policy")
    LEARNING_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    learning: bool
    policy: TiltPolicy
    def __init__(self, learning: bool = ..., policy: _Optional[_Union[TiltPolicy, _Mapping]] = ...) -> None: ...

class ListTiltUpdatesRequest(_message.Message):
    __slots__ = ("arm", "limit")
    ARM_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    arm: str
    limit: int
    def __init__(self, arm: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListTiltUpdatesResponse(_message.Message):
    __slots__ = ("updates",)
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    updates: _containers.RepeatedCompositeFieldContainer[TiltUpdate]
    def __init__(self, updates: _Optional[_Iterable[_Union[TiltUpdate, _Mapping]]] = ...) -> None: ...

class ProposeTiltUpdateRequest(_message.Message):
    __slots__ = ("arm",)
    ARM_FIELD_NUMBER: _ClassVar[int]
    arm: str
    def __init__(self, arm: _Optional[str] = ...) -> None: ...

class ProposeTiltUpdateResponse(_message.Message):
    __slots__ = ("update",)
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    update: TiltUpdate
    def __init__(self, update: _Optional[_Union[TiltUpdate, _Mapping]] = ...) -> None: ...

class RevertTiltUpdateRequest(_message.Message):
    __slots__ = ("arm",)
    ARM_FIELD_NUMBER: _ClassVar[int]
    arm: str
    def __init__(self, arm: _Optional[str] = ...) -> None: ...

class RevertTiltUpdateResponse(_message.Message):
    __slots__ = ("update",)
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    update: TiltUpdate
    def __init__(self, update: _Optional[_Union[TiltUpdate, _Mapping]] = ...) -> None: ...
