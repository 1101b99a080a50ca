"""Values of experiments: an `ExperimentPlan` says what is to be tried, the rest what became of it. No protobuf here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from audotics.client.arguments import Mood, Objectives


class Metric(StrEnum):
    """What is measured of a listener. UNKNOWN is one that was added after this client was made."""

    UNKNOWN = "unknown"
    ENGAGEMENT = "engagement"
    COMPLETION = "completion"
    SKIP_RATE = "skip_rate"
    PLAYLIST_CREATION = "playlist_creation"
    GROUP_ACTIVITY = "group_activity"
    DIVERSITY = "diversity"
    SATISFACTION = "satisfaction"


class ExperimentState(StrEnum):
    """Whether an experiment serves listeners."""

    UNKNOWN = "unknown"
    RUNNING = "running"
    STOPPED = "stopped"


class ExperimentEvent(StrEnum):
    """What can happen to an experiment; ARM_STOPPED is what guardrails do."""

    UNKNOWN = "unknown"
    CREATED = "created"
    TRAFFIC_SET = "traffic_set"
    ARM_STOPPED = "arm_stopped"
    STOPPED = "stopped"
    PROMOTED = "promoted"


class Estimator(StrEnum):
    """How the value of a policy is estimated."""

    UNKNOWN = "unknown"
    IPS = "ips"
    SNIPS = "snips"
    DOUBLY_ROBUST = "doubly_robust"


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How wide the pipeline looks; None leaves one as the server has it."""

    collaborative_candidates: int | None = None
    content_interests: int | None = None
    candidates_per_interest: int | None = None
    context_candidates: int | None = None
    minimum_candidates: int | None = None
    artist_cap: int | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of making lists. What it does not set is as for everybody; with no `share` in any arm, they are equal.

    `component_weights` multiply the hybrid's weights, by component. In an answer, `stopped_reason` says why a guardrail
    stopped the arm.
    """

    name: str
    share: float = 0.0
    model_label: str | None = None
    model_versions: Mapping[str, int] = field(default_factory=dict)
    diversity: float | None = None
    objectives: Objectives | None = None
    component_weights: Mapping[str, float] = field(default_factory=dict)
    pipeline: PipelineSettings | None = None
    stopped_reason: str = ""


@dataclass(frozen=True, slots=True)
class Guardrails:
    """How much worse than the control an arm may be before it is stopped; None is the server's default."""

    max_error_increase: float | None = None
    max_latency_increase: float | None = None
    max_diversity_drop: float | None = None


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """What is to be tried. `control` None is the first arm; `overrides` are arms by user id.

    A listener is observed for `window_s` from the first list on, and counts afterwards.
    """

    name: str
    arms: tuple[Arm, ...]
    description: str = ""
    layer: str = "default"
    traffic_share: float = 1.0
    control: str | None = None
    metric: Metric | str = Metric.ENGAGEMENT
    window_s: float = 24 * 3600.0
    smallest_lift: float = 0.05
    guardrails: Guardrails = field(default_factory=Guardrails)
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """Something that happened to an experiment."""

    at: datetime
    event: ExperimentEvent
    arm: str
    detail: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """A plan at work. `stopped_at` is None while it runs; the oldest of `records` stands first."""

    plan: ExperimentPlan
    state: ExperimentState
    created_at: datetime
    stopped_at: datetime | None
    records: tuple[ExperimentRecord, ...]


@dataclass(frozen=True, slots=True)
class ArmReport:
    """An arm's listeners, those who count already, their lists, and the metrics; None where nothing was observed."""

    arm: str
    listeners: int
    observed_listeners: int
    lists: int
    metrics: Mapping[Metric, float | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm against the control. All numbers are None while too few listeners were observed.

    The interval from `low` to `high` and the p-value hold at every look.
    """

    arm: str
    metric: Metric
    lift: float | None
    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether the arms have the listeners that they should have. With an `alarm`, no comparison means anything."""

    p_value: float
    alarm: bool
    expected_listeners: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """The answer to `report_experiment`. `winner` is "" while no arm is better for certain."""

    experiment: Experiment
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    sample_ratio: SampleRatio
    winner: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Promotion:
    """The answer to `promote_arm`: the experiment, and the versions that the label stands for now."""

    experiment: Experiment
    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """Probabilities of arms, for lists of listeners who heard from `min_history` to below `max_history` tracks.

    With `moods`, for lists that were asked for with one of them.
    """

    arms: Mapping[str, float]
    min_history: int | None = None
    max_history: int | None = None
    moods: tuple[Mood | str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyEstimate:
    """What a list earns by a policy, with its 95 % interval."""

    estimator: Estimator
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PolicyEstimates:
    """The answer to `evaluate_policy`. `logged_value` is what a list earned as it was."""

    estimates: tuple[PolicyEstimate, ...]
    logged_value: float
    lists: int
    listeners: int
    effective_lists: float
