"""An experiment as a value: what was asked for and what became of it; JSON goes in and comes out.

A plan says what is to be done and never changes; the experiment around it holds what does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Literal, Protocol

from audotics.server.experiments.traffic import Slots
from audotics.server.types import ModelSelector, Objectives, PipelineSettings

State = Literal["running", "stopped"]
Happening = Literal["created", "traffic_set", "arm_stopped", "stopped", "promoted"]

HOLDOUT: Final = "holdout"
"""The name that reports give to listeners who are held out of all experiments; no arm may have it."""


class OpenQuery(Protocol):
    """What a query, of a listener or of a group, may leave open."""

    @property
    def diversity(self) -> float | None: ...

    @property
    def objectives(self) -> Objectives: ...

    @property
    def pipeline(self) -> PipelineSettings | None: ...


@dataclass(frozen=True, slots=True)
class Treatment:
    """What an arm sets where a request leaves it open; None and () leave it as for everybody."""

    models: ModelSelector | None = None
    diversity: float | None = None
    objectives: Objectives | None = None
    tilt: tuple[float, ...] = ()
    pipeline: PipelineSettings | None = None

    @property
    def parameters(self) -> frozenset[str]:
        """Names of what it sets."""
        names = {item.name for item in fields(self) if item.name != "pipeline" and getattr(self, item.name)}
        names |= {"diversity"} if self.diversity is not None else set()
        if self.pipeline is not None:
            names |= {name for name, value in asdict(self.pipeline).items() if value is not None}
        return frozenset(names)

    def collect(self, query: OpenQuery, changes: dict[str, Any]) -> None:
        """Add to `changes` of the query's fields what this sets and the query left open.

        Several treatments may follow each other, for they set different things.
        """
        if self.models is not None:
            changes["models"] = self.models
        if self.diversity is not None and query.diversity is None:
            changes["diversity"] = self.diversity
        if self.objectives is not None and query.objectives == Objectives():
            changes["objectives"] = self.objectives
        if self.tilt:
            changes["tilt"] = self.tilt
        if self.pipeline is not None:
            before: PipelineSettings | None = changes.get("pipeline", query.pipeline)
            set_now = {name: value for name, value in asdict(self.pipeline).items() if value is not None}
            changes["pipeline"] = self.pipeline if before is None else replace(before, **set_now)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of making lists, for a share of the experiment's listeners."""

    name: str
    share: float
    treatment: Treatment = field(default_factory=Treatment)


@dataclass(frozen=True, slots=True)
class Guardrails:
    """How much worse than the control an arm may be: additional share of failures, and of time, and less diversity."""

    max_error_increase: float = 0.01
    max_latency_increase: float = 0.5
    max_diversity_drop: float = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. The shares of `arms` sum up to 1."""

    name: str
    arms: tuple[Arm, ...]
    control: str
    description: str
    layer: str
    metric: str
    window_s: float
    smallest_lift: float
    guardrails: Guardrails = field(default_factory=Guardrails)

    @property
    def parameters(self) -> frozenset[str]:
        """Names of what its arms set."""
        return frozenset().union(*(arm.treatment.parameters for arm in self.arms))

    def arm(self, name: str) -> Arm | None:
        return next((arm for arm in self.arms if arm.name == name), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` gave, also after a way through JSON text, in which tuples are lists."""
        arms = tuple(Arm(arm["name"], arm["share"], _treatment(arm["treatment"])) for arm in value["arms"])
        return cls(**{**value, "arms": arms, "guardrails": Guardrails(**value["guardrails"])})


@dataclass(frozen=True, slots=True)
class Record:
    """Something that happened, at UTC seconds."""

    at: float
    event: Happening
    arm: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A plan at work. `salt` is what its arms are drawn with, `slots` are its part of the layer.

    `overrides` are pairs of a user id and an arm; `records` say what happened, the oldest first.
    """

    plan: Plan
    salt: str
    slots: Slots
    created_at: float
    state: State = "running"
    stopped_at: float | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    records: tuple[Record, ...] = ()

    @property
    def stopped_arms(self) -> dict[str, Record]:
        """Arms that a guardrail stopped, with the record that says why."""
        return {record.arm: record for record in self.records if record.event == "arm_stopped"}

    def with_record(self, record: Record, **changes: Any) -> Experiment:
        """The experiment after something happened."""
        return replace(self, records=(*self.records, record), **changes)


def _treatment(value: Mapping[str, Any]) -> Treatment:
    models, objectives, pipeline = value["models"], value["objectives"], value["pipeline"]
    return Treatment(
        models=None
        if models is None
        else ModelSelector(models["label"], tuple((name, int(version)) for name, version in models["versions"])),
        diversity=value["diversity"],
        objectives=None if objectives is None else Objectives(**objectives),
        tilt=tuple(value["tilt"]),
        pipeline=None if pipeline is None else PipelineSettings(**pipeline),
    )
