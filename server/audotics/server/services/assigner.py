"""Assignment: queries go in, and those of listeners and groups in an experiment come out with what their arm sets.

Everything is in memory and made anew when experiments change; while none runs, nothing is asked. How the requests of
each arm went is kept for the guardrails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from audotics.server.experiments.assignment import arm_of, is_held_out, slot_of
from audotics.server.experiments.experiment import HOLDOUT, Arm, Experiment
from audotics.server.experiments.guardrails import Health
from audotics.server.experiments.traffic import SLOTS
from audotics.server.pipeline.group_query import GroupQuery
from audotics.server.types import Exposure, RecommendQuery

QueryT = TypeVar("QueryT", RecommendQuery, GroupQuery)


@dataclass(slots=True)
class _Layer:
    """The experiments of a layer: who has each slot, and the listeners whose arm was chosen."""

    name: str
    slots: list[Experiment | None]
    chosen: dict[str, tuple[Experiment, Arm]]


class Assigner:
    """Knows the running experiments. It belongs to the event loop."""

    def __init__(self, *, holdout_share: float = 0.0) -> None:
        """`holdout_share` of all listeners are in no experiment; while one runs, their lists are logged as held out."""
        self._holdout_share = holdout_share
        self._experiments: tuple[Experiment, ...] = ()
        self._layers: tuple[_Layer, ...] = ()
        self._stopped: frozenset[tuple[str, str]] = frozenset()
        self._health: dict[tuple[str, str], Health] = {}
        self.exposures: Final[Counter[tuple[str, str]]] = Counter()
        """Requests that arms were drawn or chosen for since the start, by experiment and arm."""
        self.running = False
        """Whether there is any experiment; as long as there is none, `assign` changes nothing."""

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """Those that run."""
        return self._experiments

    @property
    def holdout_share(self) -> float:
        return self._holdout_share

    def follow(self, experiments: Sequence[Experiment]) -> None:
        """From now on, assign by those of `experiments` that run."""
        running = tuple(experiment for experiment in experiments if experiment.state == "running")
        if running == self._experiments:
            return
        layers: dict[str, _Layer] = {}
        for experiment in running:
            plan = experiment.plan
            layer = layers.setdefault(plan.layer, _Layer(plan.layer, [None] * SLOTS, {}))
            for start, end in experiment.slots:
                layer.slots[start:end] = [experiment] * (end - start)
            for user_id, name in experiment.overrides:
                if (arm := plan.arm(name)) is not None:
                    layer.chosen[user_id] = (experiment, arm)
        names = {experiment.plan.name for experiment in running}
        self._experiments, self._layers = running, tuple(layers.values())
        self._stopped = frozenset((each.plan.name, arm) for each in running for arm in each.stopped_arms)
        self._health = {key: health for key, health in self._health.items() if key[0] in names}
        self.running = bool(running)

    def forget(self, user_id: str) -> None:
        """Know no chosen arm of a listener any more."""
        self.follow(
            [
                replace(each, overrides=tuple(pair for pair in each.overrides if pair[0] != user_id))
                for each in self._experiments
            ]
        )

    def assign(self, query: QueryT) -> QueryT:
        """The query with what the arms of its listener, or of its group as a whole, set, and which arms those are.

        Anonymous subjects, and requests that select models themselves, are in no experiment.
        """
        unit = _unit(query)
        if not unit or query.models is not None:
            return query
        held_out = is_held_out(unit, self._holdout_share)
        exposures: list[Exposure] = []
        changes: dict[str, Any] = {}
        for layer in self._layers:
            if (chosen := layer.chosen.get(unit)) is not None:
                (experiment, arm), propensity = chosen, 1.0
            elif held_out or (drawn := layer.slots[slot_of(layer.name, unit)]) is None:
                continue
            else:
                experiment, arm = drawn, arm_of(drawn, unit)
                propensity = arm.share
            if (experiment.plan.name, arm.name) in self._stopped:
                continue  # served as everybody: moved to another arm, its listeners would not be like those there
            exposures.append(Exposure(experiment.plan.name, arm.name, propensity))
            arm.treatment.collect(query, changes)
        if held_out and not exposures:
            exposures.append(Exposure("", HOLDOUT, self._holdout_share))
        return replace(query, exposures=tuple(exposures), **changes) if exposures else query

    def observe(self, exposures: Sequence[Exposure], *, elapsed_s: float, failed: bool, members: int = 0) -> None:
        """Count a request that arms have answered, or failed to, of a group of `members`, 0 for a listener."""
        for exposure in exposures:
            self.exposures[exposure.experiment, exposure.arm] += 1
            if exposure.experiment and exposure.propensity < 1:
                key = exposure.experiment, exposure.arm
                health = self._health.get(key, Health())
                self._health[key] = health.plus(members=members, elapsed_s=elapsed_s, failed=failed)

    def health(self, experiment: str, arm: str) -> Health:
        """How its requests went since this server knows of it. The diversity of lists is not counted here."""
        return self._health.get((experiment, arm), Health())


def _unit(query: RecommendQuery | GroupQuery) -> str:
    """Who draws the arms; empty for nobody."""
    if isinstance(query, GroupQuery):
        return query.key
    return query.subject.user_id if query.subject.kind == "user" else ""
