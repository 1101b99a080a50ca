"""Models of the repository, their versions, indexes and shadows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class VersionState(StrEnum):
    """Where a model version stands. `UNKNOWN` stands for a state that only a newer client knows."""

    UNKNOWN = "unknown"
    ON_DISK = "on_disk"
    LOADED = "loaded"
    IN_SERVICE = "in_service"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A model's input or output. In `shape`, -1 stands for any size."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of a model.

    `metrics` were measured at export time (for example "ndcg@10"), and so was `parity_max_abs_diff`, the largest
    difference between the trained and the exported model. With `REFUSED`, `reason` says why and what to do.
    `device` is where a loaded version runs, "cpu" or "cuda:0"; empty for one that another server runs.
    """

    version: int
    state: VersionState
    reason: str = ""
    created_at: datetime | None = None
    framework: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    size_bytes: int = 0
    parity_max_abs_diff: float | None = None
    device: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of the repository, its highest version first, and the versions that labels stand for."""

    name: str
    kind: str
    versions: tuple[VersionInfo, ...]
    labels: dict[str, int] = field(default_factory=dict)


class ModelEvent(StrEnum):
    """What happened to a version. `UNKNOWN` stands for something that only a newer client knows."""

    UNKNOWN = "unknown"
    IN_SERVICE = "in_service"
    BACK_IN_SERVICE = "back_in_service"
    OUT_OF_SERVICE = "out_of_service"
    LOADED = "loaded"
    UNLOADED = "unloaded"
    EVICTED = "evicted"
    REFUSED = "refused"
    LABELLED = "labelled"
    UNLABELLED = "unlabelled"


class ModelEventOrigin(StrEnum):
    """What made something happen. `UNKNOWN` stands for something that only a newer client knows."""

    UNKNOWN = "unknown"
    START = "start"
    REPOSITORY = "repository"
    OPERATOR = "operator"
    EXPERIMENT = "experiment"
    PROBATION = "probation"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One thing that happened to a version on one server.

    `caller` is the address that an operator's call came from. `replaced_version` served before, or had the `label`
    before; 0 where there was none. `digest` names the content of the version's bundle.
    """

    occurred_at: datetime
    server: str
    model: str
    version: int
    event: ModelEvent
    origin: ModelEventOrigin
    caller: str = ""
    replaced_version: int = 0
    label: str = ""
    reason: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ModelRecordPage:
    """The answer to `list_model_records`, the newest first. `next_page_token` is empty where there is nothing more."""

    records: tuple[ModelRecord, ...]
    next_page_token: str = ""


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """How the versions with the label "shadow" compare with those in service.

    `overlap_at_k` is the share of the first `k` tracks that both lists have, `score_drift` how much higher the shadow
    scores its own, in standard deviations; both are averages over `request_count` requests.
    """

    versions: dict[str, int]
    request_count: int
    failure_count: int
    skipped_count: int
    overlap_at_k: float
    k: int
    score_drift: float
    served_ms: float
    shadow_ms: float


@dataclass(frozen=True, slots=True)
class BuiltRecall:
    """The share of the `k` best rows that an index found for held-out queries when it was built, and was asked for."""

    k: int
    target: float
    measured: float
    query_count: int


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """The vector index of a loaded version.

    Of its `vector_count` vectors, `changed_count` stand beside the index, since they changed after it was built.
    """

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
    built: BuiltRecall | None


@dataclass(frozen=True, slots=True)
class IndexRecall:
    """The recall of one index: when it was built, over the last sampled searches, and for held-out queries now."""

    name: str
    version: int
    built: BuiltRecall | None
    live: float | None
    live_count: int
    held_out: float | None


@dataclass(frozen=True, slots=True)
class RecallReport:
    """The recall of all indexes. Counts are totals since the server's start."""

    indexes: tuple[IndexRecall, ...]
    sample_share: float
    sampled_count: int
    skipped_count: int
    blocked_count: int
    completed_count: int
    exact_filtered_count: int
    indexed_filtered_count: int
    device_fallback_count: int
