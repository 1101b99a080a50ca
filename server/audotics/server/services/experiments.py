"""Experiments: plans go in, are checked against models and layers, and run; what becomes of them comes out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from audotics.bundle.labels import STABLE
from audotics.server.errors import (
    AudoticsError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    RefusedExperimentError,
)
from audotics.server.experiments.experiment import Experiment, Plan, Record, State
from audotics.server.experiments.stored import from_stored, to_stored
from audotics.server.experiments.traffic import count, count_of_share, resized
from audotics.server.repository.history import Cause, Origin
from audotics.server.repository.loading import HYBRID
from audotics.server.repository.registry import Registry
from audotics.server.services.assigner import Assigner
from audotics.server.services.event_log import EventLog
from audotics.server.services.models import ModelService
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.experiments import ExperimentStore, StoredExperiment

SLOT: Final = 0.0001
"""The smallest step of a share of a layer."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """An arm that was promoted: pairs of a model and the version that the label names now."""

    experiment: Experiment
    promoted: tuple[tuple[str, int], ...]


class ExperimentService:
    """Starts, changes and ends experiments. A change goes on when its caller leaves."""

    def __init__(
        self,
        *,
        registry: Registry,
        models: ModelService,
        store: ExperimentStore,
        log: EventLog,
        assigner: Assigner,
        executor: Executor,
        uninterrupted: Uninterrupted,
        now: Callable[[], float],
        draw_salt: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """`executor` is for reading; changes are written in turn with the events."""
        self._registry = registry
        self._models = models
        self._store = store
        self._log = log
        self._assigner = assigner
        self._executor = executor
        self._uninterrupted = uninterrupted
        self._now = now
        self._draw_salt = draw_salt
        self._following = asyncio.Lock()

    async def experiments(self, state: State | None = None) -> list[Experiment]:
        """All of them, or those in a state, the newest first. Raises StorageError."""
        stored = await asyncio.get_running_loop().run_in_executor(self._executor, self._store.read)
        experiments = [from_stored(each) for each in stored]
        return [each for each in experiments if state in (None, each.state)]

    async def experiment(self, name: str) -> Experiment:
        """Raises NotFoundError, StorageError."""
        return _named(await self.experiments(), name)

    async def reload(self) -> None:
        """Follow what other servers have changed. Raises StorageError."""
        await self._follow()

    async def create(
        self, plan: Plan, *, traffic_share: float, overrides: Sequence[tuple[str, str]] = ()
    ) -> Experiment:
        """Start an experiment, or return the one that is there already, word for word.

        Raises InvalidRequestError that names each wrong field, or StorageError; then nothing is started.
        """
        self._check_models(plan)
        size = count_of_share(traffic_share)
        pairs = tuple(sorted(overrides))

        def start(others: Sequence[Experiment]) -> Experiment | None:
            same_name = [each for each in others if each.plan.name == plan.name]
            if same_name:
                (known,) = same_name
                if known.plan == plan and count(known.slots) == size and known.overrides == pairs:
                    return None
                raise _invalid("experiment.name", f"is {plan.name!r}, which is taken; choose a name not used before")
            running = [each for each in others if each.state == "running"]
            _check_layers(plan, running)
            slots = _slots((), size, plan, running, field="experiment.traffic_share")
            now = self._now()
            created = Record(now, "created", detail=f"{size * SLOT:.2%} of layer {plan.layer}")
            return Experiment(plan, self._draw_salt(), slots, now, overrides=pairs, records=(created,))

        return await self._change(plan.name, start)

    async def set_traffic(self, name: str, traffic_share: float) -> Experiment:
        """Raises NotFoundError, RefusedExperimentError, InvalidRequestError when the layer has not so much left."""
        size = count_of_share(traffic_share)

        def resize(others: Sequence[Experiment]) -> Experiment | None:
            experiment = _running(others, name)
            running = [each for each in others if each.state == "running" and each.plan.name != name]
            slots = _slots(experiment.slots, size, experiment.plan, running, field="traffic_share")
            if slots == experiment.slots:
                return None
            detail = f"{count(experiment.slots) * SLOT:.2%} → {size * SLOT:.2%} of layer {experiment.plan.layer}"
            return experiment.with_record(Record(self._now(), "traffic_set", detail=detail), slots=slots)

        return await self._change(name, resize)

    async def stop(self, name: str, reason: str) -> Experiment:
        """End an experiment; a stopped one stays as it is. Raises NotFoundError, StorageError."""

        def end(others: Sequence[Experiment]) -> Experiment | None:
            experiment = _named(others, name)
            return None if experiment.state == "stopped" else self._ended(experiment, reason)

        return await self._change(name, end)

    async def stop_arm(self, name: str, arm: str, reason: str) -> Experiment:
        """Serve the listeners of an arm as everybody, and end the experiment when only the control is left."""

        def end(others: Sequence[Experiment]) -> Experiment | None:
            experiment = _named(others, name)
            if experiment.state == "stopped" or arm in experiment.stopped_arms:
                return None
            stopped = experiment.with_record(Record(self._now(), "arm_stopped", arm, reason))
            if len(stopped.stopped_arms) < len(stopped.plan.arms) - 1:
                return stopped
            return self._ended(stopped, "guardrails stopped every arm but the control")

        return await self._change(name, end)

    async def promote(self, name: str, arm: str, *, label: str = STABLE, force: bool = False) -> Promotion:
        """Let `label` stand for the versions of an arm, through the promotion gate, and end the experiment.

        Raises NotFoundError, RefusedExperimentError for an arm without models, RefusedModelError with what the gate
        says, or StorageError; then every label is where it was.
        """
        return await self._uninterrupted.run(self._promote(name, arm, label=label, force=force))

    async def _promote(self, name: str, arm_name: str, *, label: str, force: bool) -> Promotion:
        experiment = await self.experiment(name)
        versions = self._versions(experiment, arm_name)
        cause = Cause(Origin.EXPERIMENT, reason=f"arm {arm_name!r} of {name!r} is promoted")
        served = dict(self._registry.snapshot.model_versions)
        before: dict[str, int | None] = {}
        try:
            for model, version in versions:
                before[model] = self._label_of(model, label)
                await self._models.set_label(model, label, version, force=force, cause=cause)
            detail = ", ".join(f"{model}/{version} is {label}" for model, version in versions)

            def end(others: Sequence[Experiment]) -> Experiment | None:
                promoted = _named(others, name).with_record(Record(self._now(), "promoted", arm_name, detail))
                return promoted if promoted.state == "stopped" else self._ended(promoted, f"{arm_name} was promoted")

            ended = await self._change(name, end)
        except AudoticsError:
            back = replace(cause, reason=f"arm {arm_name!r} of {name!r} could not be promoted as a whole")
            await self._take_back(before, label, served, back)
            raise
        return Promotion(ended, versions)

    def _versions(self, experiment: Experiment, arm_name: str) -> tuple[tuple[str, int], ...]:
        """The versions of an arm, the hybrid first: it brings the parts that it was trained with."""
        arm = experiment.plan.arm(arm_name)
        if arm is None:
            known = ", ".join(each.name for each in experiment.plan.arms)
            raise NotFoundError("arm", [arm_name], hint=f"{experiment.plan.name} has {known}")
        models = arm.treatment.models
        if models is None:
            raise RefusedExperimentError(
                f"arm {arm_name!r} of {experiment.plan.name!r} chooses no model versions, so there is nothing that a "
                "label could stand for; stop the experiment, and let requests set what the arm set"
            )
        chosen = dict(self._registry.labelled(models.label)) if models.label else {}
        chosen.update(models.versions)
        return tuple(sorted(chosen.items(), key=lambda pair: (pair[0] != HYBRID, pair)))

    def _label_of(self, model: str, label: str) -> int | None:
        return self._registry.labelled(label).get(model)

    async def _take_back(
        self, before: Mapping[str, int | None], label: str, served: Mapping[str, int], cause: Cause
    ) -> None:
        """Let the label stand for what it did, and serve what was served: to take `stable` away changes no service."""
        for model, version in reversed(list(before.items())):
            if self._label_of(model, label) != version:
                await self._models.set_label(model, label, version, force=True, cause=cause)
        for model in reversed(list(before)):
            serving = dict(self._registry.snapshot.model_versions).get(model)
            if model in served and serving != served[model]:
                await self._models.load(model, served[model], cause=cause)

    def _ended(self, experiment: Experiment, reason: str) -> Experiment:
        now = self._now()
        return experiment.with_record(Record(now, "stopped", detail=reason), state="stopped", stopped_at=now)

    async def _change(self, name: str, decide: Callable[[Sequence[Experiment]], Experiment | None]) -> Experiment:
        """Write what `decide` makes of one experiment, and let this server obey at once."""

        def change(stored: Sequence[StoredExperiment]) -> StoredExperiment | None:
            changed = decide([from_stored(each) for each in stored])
            return None if changed is None else to_stored(changed)

        async def write() -> Experiment:
            await self._log.in_turn(partial(self._store.change, change))
            return _named(await self._follow(), name)

        return await self._uninterrupted.run(write())

    async def _follow(self) -> list[Experiment]:
        """Let this server obey what the database says, and return that."""
        async with self._following:  # what was read earlier must not be obeyed later
            experiments = await self.experiments()
            self._assigner.follow(experiments)
        return experiments

    def _check_models(self, plan: Plan) -> None:
        """Raises InvalidRequestError for arms whose versions cannot be served now."""
        violations = []
        for place, arm in enumerate(plan.arms):
            try:
                self._registry.select(arm.treatment.models)
            except NotFoundError as error:
                description = str(error).replace("models.label: ", "").replace("models: ", "")
                violations.append(FieldViolation(f"experiment.arms[{place}].models", description))
        if violations:
            raise InvalidRequestError(violations)


def _check_layers(plan: Plan, running: Sequence[Experiment]) -> None:
    """Raises InvalidRequestError where experiments of two layers would set the same thing for the same listener."""
    for other in running:
        shared = sorted(plan.parameters & other.plan.parameters)
        if other.plan.layer != plan.layer and shared:
            raise _invalid(
                "experiment.layer",
                f"is {plan.layer!r}, but experiment {other.plan.name!r} of layer {other.plan.layer!r} sets "
                f"{', '.join(shared)}, too; put both in one layer, where they exclude each other",
            )


def _slots(
    present: tuple[tuple[int, int], ...], size: int, plan: Plan, others: Sequence[Experiment], *, field: str
) -> tuple[tuple[int, int], ...]:
    """Raises InvalidRequestError when the other experiments of the layer leave too few."""
    neighbours = [each for each in others if each.plan.layer == plan.layer]
    slots = resized(present, size, taken=[each.slots for each in neighbours])
    if slots is None:
        held = ", ".join(f"{each.plan.name} {count(each.slots) * SLOT:.2%}" for each in neighbours)
        left = 1 - sum(count(each.slots) for each in neighbours) * SLOT
        raise _invalid(
            field, f"is {size * SLOT:.2%}, but layer {plan.layer!r} has {max(left, 0.0):.2%} left: running are {held}"
        )
    return slots


def _named(experiments: Sequence[Experiment], name: str) -> Experiment:
    for experiment in experiments:
        if experiment.plan.name == name:
            return experiment
    names = ", ".join(each.plan.name for each in experiments[:20]) or "none"
    raise NotFoundError("experiment", [name], hint=f"there are: {names}")


def _running(experiments: Sequence[Experiment], name: str) -> Experiment:
    experiment = _named(experiments, name)
    if experiment.state != "running":
        raise RefusedExperimentError(f"experiment {name!r} is stopped; start another one")
    return experiment


def _invalid(field: str, description: str) -> InvalidRequestError:
    return InvalidRequestError([FieldViolation(field, description)])
