"""`ExperimentService` messages: plans go in checked, experiments and what became of them go back."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from audotics.bundle.labels import STABLE, is_label
from audotics.features.hybrid import COMPONENTS
from audotics.server.experiments.experiment import HOLDOUT, Arm, Experiment, Guardrails, Plan, State, Treatment
from audotics.server.experiments.metrics import METRICS
from audotics.server.experiments.traffic import SLOTS, count
from audotics.server.transport.codec.conditions import decode_objectives
from audotics.server.transport.codec.recommendations import encode_versions
from audotics.server.transport.codec.selection import decode_selector
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import ModelSelector, Objectives, PipelineSettings
from audotics.v1 import experiment_service_pb2 as pb
from audotics.v1 import recommender_service_pb2 as recommender_pb

DEFAULT_LAYER: Final = "default"
DEFAULT_WINDOW_S: Final = 24 * 3600.0
DEFAULT_LIFT: Final = 0.05
MOST_ARMS: Final = 16
MOST_OVERRIDES: Final = 1000
MOST_WEIGHT: Final = 10.0

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_LAYER: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NAME_RULE: Final = "send lower-case letters, digits, '-' and '_', a letter first, up to"
_SHARE_SLACK: Final = 1e-6
_LONGEST_WINDOW_S: Final = 90 * 24 * 3600.0
_METRICS: Final = {pb.Metric.Value(f"METRIC_{name.upper()}"): name for name in METRICS}
_STATES: Final[dict[int, State]] = {
    pb.EXPERIMENT_STATE_RUNNING: "running",
    pb.EXPERIMENT_STATE_STOPPED: "stopped",
}
_MOST_OF_SETTINGS: Final = {"content_interests": 10, "artist_cap": 500}
_MOST_CANDIDATES: Final = 2000


@dataclass(frozen=True, slots=True)
class NewExperiment:
    """A checked `CreateExperiment` request."""

    plan: Plan
    traffic_share: float
    overrides: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """A checked `PromoteArm` request."""

    name: str
    arm: str
    label: str
    force: bool


def decode_create(request: pb.CreateExperimentRequest) -> NewExperiment:
    """Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    message = request.experiment
    _check_name("experiment.name", message.name, violations)
    violations.check_text("experiment.description", message.description)
    layer = message.layer or DEFAULT_LAYER
    if not _LAYER.fullmatch(layer):
        violations.add("experiment.layer", f"is {layer[:40]!r}; {_NAME_RULE} 32")
    share = message.traffic_share if message.HasField("traffic_share") else 1.0
    _check_traffic("experiment.traffic_share", share, violations)
    arms = _arms(message.arms, violations)
    names = [arm.name for arm in arms]
    control = message.control or (names[0] if names else "")
    if names and control not in names:
        violations.add("experiment.control", f"is {control[:40]!r}, which is no arm; name one of {', '.join(names)}")
    plan = Plan(
        name=message.name,
        arms=arms,
        control=control,
        description=message.description,
        layer=layer,
        metric=decode_metric("experiment.metric", message.metric, violations),
        window_s=_window(message, violations),
        smallest_lift=_smallest_lift(message, violations),
        guardrails=_guardrails(message.guardrails, violations),
    )
    overrides = _overrides(message, names, violations)
    violations.raise_if_any()
    return NewExperiment(plan, share, overrides)


def decode_experiment_name(request: pb.GetExperimentRequest | pb.ReportExperimentRequest) -> str:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("name", request.name)
    violations.raise_if_any()
    return request.name


def decode_state(request: pb.ListExperimentsRequest) -> State | None:
    """None asks for all. Raises InvalidRequestError."""
    violations = Violations()
    if request.state and request.state not in _STATES:
        violations.add("state", f"is {request.state}, which names no state; send running, stopped, or leave it out")
    violations.raise_if_any()
    return _STATES.get(request.state)


def decode_traffic(request: pb.SetTrafficRequest) -> tuple[str, float]:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("name", request.name)
    _check_traffic("traffic_share", request.traffic_share, violations)
    violations.raise_if_any()
    return request.name, request.traffic_share


def decode_stop(request: pb.StopExperimentRequest) -> tuple[str, str]:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("name", request.name)
    violations.check_text("reason", request.reason)
    violations.raise_if_any()
    return request.name, request.reason or "stopped by an operator"


def decode_promotion(request: pb.PromoteArmRequest) -> PromotionRequest:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("name", request.name)
    violations.check_id("arm", request.arm)
    label = request.label or STABLE
    if not is_label(label):
        violations.add("label", f"is {label[:40]!r}; {_NAME_RULE} 32")
    violations.raise_if_any()
    return PromotionRequest(request.name, request.arm, label, request.force)


def decode_metric(field: str, metric: int, violations: Violations) -> str:
    """The name of a metric, engagement where none is given."""
    if metric and metric not in _METRICS:
        violations.add(field, f"is {metric}, which names no metric; known metrics: {', '.join(METRICS)}")
    return _METRICS.get(metric, METRICS[0])


def encode_metric(metric: str) -> pb.Metric:
    number: pb.Metric = pb.Metric.Value(f"METRIC_{metric.upper()}")
    return number


def encode_experiment(experiment: Experiment) -> pb.Experiment:
    plan = experiment.plan
    stopped = experiment.stopped_arms
    message = pb.Experiment(
        name=plan.name,
        description=plan.description,
        layer=plan.layer,
        traffic_share=count(experiment.slots) / SLOTS,
        arms=[_encode_arm(arm, stopped[arm.name].detail if arm.name in stopped else "") for arm in plan.arms],
        control=plan.control,
        metric=encode_metric(plan.metric),
        window=_duration(plan.window_s),
        smallest_lift=plan.smallest_lift,
        guardrails=pb.Guardrails(**{item.name: getattr(plan.guardrails, item.name) for item in fields(Guardrails)}),
        overrides=dict(experiment.overrides),
        state=pb.ExperimentState.Value(f"EXPERIMENT_STATE_{experiment.state.upper()}"),
        created_at=_timestamp(experiment.created_at),
        records=[
            pb.ExperimentRecord(
                at=_timestamp(record.at),
                event=pb.ExperimentEvent.Value(f"EXPERIMENT_EVENT_{record.event.upper()}"),
                arm=record.arm,
                detail=record.detail,
            )
            for record in experiment.records
        ],
    )
    if experiment.stopped_at is not None:
        message.stopped_at.CopyFrom(_timestamp(experiment.stopped_at))
    return message


def _arms(messages: Sequence[pb.Arm], violations: Violations) -> tuple[Arm, ...]:
    if not 2 <= len(messages) <= MOST_ARMS:
        violations.add("experiment.arms", f"has {len(messages)} entries; send 2 to {MOST_ARMS}")
        return ()
    arms = [_arm(message, f"experiment.arms[{place}]", violations) for place, message in enumerate(messages)]
    first: dict[str, int] = {}
    for place, arm in enumerate(arms):
        earlier = first.setdefault(arm.name, place)
        if earlier != place:
            violations.add(
                f"experiment.arms[{place}].name", f"repeats experiment.arms[{earlier}].name; give each arm its own"
            )
    if not any(arm.share for arm in arms):
        return tuple(replace(arm, share=1 / len(arms)) for arm in arms)
    for place, arm in enumerate(arms):
        if not 0 < arm.share <= 1:
            violations.add(
                f"experiment.arms[{place}].share", f"is {arm.share:g}; send a share above 0, to 1, or none in any arm"
            )
    total = sum(arm.share for arm in arms)
    if math.isfinite(total) and abs(total - 1) > _SHARE_SLACK:
        violations.add("experiment.arms", f"have shares that sum up to {total:.2%}; make it 100.00%")
    return tuple(arms)


def _arm(message: pb.Arm, path: str, violations: Violations) -> Arm:
    _check_name(f"{path}.name", message.name, violations)
    if message.name == HOLDOUT:
        violations.add(f"{path}.name", f"is {HOLDOUT!r}, which names listeners outside all experiments; choose another")
    diversity = message.diversity if message.HasField("diversity") else None
    if diversity is not None:
        violations.check_between(f"{path}.diversity", diversity, 0.0, 1.0)
    objectives = None
    if message.HasField("objectives"):
        objectives = decode_objectives(message.objectives, violations, path=f"{path}.objectives")
    treatment = Treatment(
        models=decode_selector(message, violations, path=f"{path}.models"),
        diversity=diversity,
        objectives=objectives,
        tilt=_tilt(message, path, violations),
        pipeline=_settings(message.pipeline, f"{path}.pipeline", violations) if message.HasField("pipeline") else None,
    )
    return Arm(message.name, message.share, treatment)


def _tilt(message: pb.Arm, path: str, violations: Violations) -> tuple[float, ...]:
    weights = dict(message.component_weights)
    for name, weight in weights.items():
        field = f"{path}.component_weights[{name[:40]}]"
        if name not in COMPONENTS:
            violations.add(field, f"is no component; the components are {', '.join(COMPONENTS)}")
        else:
            violations.check_between(field, weight, 0.0, MOST_WEIGHT)
    tilt = tuple(weights.get(name, 1.0) for name in COMPONENTS)
    if weights and not any(tilt):
        violations.add(f"{path}.component_weights", "are all 0, so nothing would decide; leave one above 0")
    return tilt if weights else ()


def _settings(message: pb.PipelineSettings, path: str, violations: Violations) -> PipelineSettings:
    values: dict[str, int] = {}
    for item in fields(PipelineSettings):
        if message.HasField(item.name):
            values[item.name] = getattr(message, item.name)
            most = _MOST_OF_SETTINGS.get(item.name, _MOST_CANDIDATES)
            violations.check_limit(f"{path}.{item.name}", values[item.name], most=most)
    if not values:
        violations.add(path, "sets nothing; set something, or leave it out")
    return PipelineSettings(**values)


def _overrides(message: pb.Experiment, names: Sequence[str], violations: Violations) -> tuple[tuple[str, str], ...]:
    if len(message.overrides) > MOST_OVERRIDES:
        violations.add("experiment.overrides", f"has {len(message.overrides)} entries; send up to {MOST_OVERRIDES}")
        return ()
    pairs = sorted(message.overrides.items())
    for user_id, arm in pairs:
        field = f"experiment.overrides[{user_id[:40]}]"
        violations.check_id(field, user_id)
        if arm not in names:
            violations.add(field, f"is {arm[:40]!r}, which is no arm; name one of {', '.join(names)}")
    return tuple(pairs)


def _window(message: pb.Experiment, violations: Violations) -> float:
    if not message.HasField("window"):
        return DEFAULT_WINDOW_S
    window_s: float = message.window.seconds + message.window.nanos / 1e9
    if not 0 < window_s <= _LONGEST_WINDOW_S:
        violations.add("experiment.window", f"is {window_s:g} s; send a time above 0, up to 90 days")
    return window_s


def _smallest_lift(message: pb.Experiment, violations: Violations) -> float:
    if not message.HasField("smallest_lift"):
        return DEFAULT_LIFT
    if not 0 < message.smallest_lift <= 10:
        violations.add("experiment.smallest_lift", f"is {message.smallest_lift:g}; send a share above 0, such as 0.05")
    smallest_lift: float = message.smallest_lift
    return smallest_lift


def _guardrails(message: pb.Guardrails, violations: Violations) -> Guardrails:
    values = {item.name: getattr(message, item.name) for item in fields(Guardrails) if message.HasField(item.name)}
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            violations.add(f"experiment.guardrails.{name}", f"is {value:g}; send a share above 0")
    return Guardrails(**values)


def _check_name(field: str, name: str, violations: Violations) -> None:
    if not _NAME.fullmatch(name):
        violations.add(field, f"is {name[:40]!r}; {_NAME_RULE} 64")


def _check_traffic(field: str, share: float, violations: Violations) -> None:
    if not 1 / SLOTS <= share <= 1:
        violations.add(field, f"is {share:.2%}; send a share from {1 / SLOTS:g} to 1")


def _encode_arm(arm: Arm, stopped_reason: str) -> pb.Arm:
    treatment = arm.treatment
    message = pb.Arm(
        name=arm.name,
        share=arm.share,
        models=_encode_models(treatment.models),
        diversity=treatment.diversity,
        component_weights=dict(zip(COMPONENTS, treatment.tilt, strict=True)) if treatment.tilt else {},
        stopped_reason=stopped_reason,
    )
    if treatment.objectives is not None:
        values = {item.name: getattr(treatment.objectives, item.name) for item in fields(Objectives)}
        message.objectives.CopyFrom(recommender_pb.Objectives(**values))
    if treatment.pipeline is not None:
        settings = {item.name: getattr(treatment.pipeline, item.name) for item in fields(PipelineSettings)}
        message.pipeline.CopyFrom(pb.PipelineSettings(**settings))
    return message


def _encode_models(models: ModelSelector | None) -> recommender_pb.ModelSelector | None:
    if models is None:
        return None
    return recommender_pb.ModelSelector(label=models.label, versions=encode_versions(models.versions))


def _timestamp(seconds: float) -> Timestamp:
    time = Timestamp()
    time.FromNanoseconds(int(seconds * 1e9))
    return time


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
