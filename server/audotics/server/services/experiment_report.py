"""Reports on experiments: an experiment's receipts and events go in, what its arms are worth comes out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from audotics.server.errors import FieldViolation, InvalidRequestError, RefusedExperimentError
from audotics.server.experiments.experiment import HOLDOUT, Experiment
from audotics.server.experiments.metrics import LESS_IS_BETTER, METRICS, ListOutcomes
from audotics.server.experiments.policies import PolicyEstimates, Rule, evaluate
from audotics.server.experiments.sequential import (
    ALPHA,
    LEAST_LISTENERS,
    Difference,
    Sums,
    lift,
    sample_ratio_p_value,
)
from audotics.server.services.assigner import Assigner
from audotics.server.services.experiments import ExperimentService
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.storage.exposures import ExposureStore

SAMPLE_RATIO_ALPHA: Final = 0.001


@dataclass(frozen=True, slots=True)
class ArmReport:
    """An arm's listeners, those whose window is over, their lists, and pairs of a metric and its value, if any."""

    arm: str
    listeners: int
    observed_listeners: int
    lists: int
    metrics: tuple[tuple[str, float | None], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm against the control; no `lift` while too few listeners were observed."""

    arm: str
    metric: str
    lift: Difference | None


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether the arms have the listeners that they should have; `expected` are pairs of an arm and a number."""

    p_value: float
    expected: tuple[tuple[str, float], ...]

    @property
    def alarm(self) -> bool:
        return self.p_value < SAMPLE_RATIO_ALPHA


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """What is known by now. `winner` is "" while no arm is better for certain."""

    experiment: Experiment
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    sample_ratio: SampleRatio
    winner: str
    notes: tuple[str, ...]


class ReportService:
    """Reads the exposure log. Reading and counting are done on `executor`."""

    def __init__(
        self,
        *,
        experiments: ExperimentService,
        assigner: Assigner,
        exposures: ExposureStore,
        writer: ReceiptWriter,
        executor: Executor,
        now: Callable[[], float],
    ) -> None:
        self._experiments = experiments
        self._assigner = assigner
        self._exposures = exposures
        self._writer = writer
        self._executor = executor
        self._now = now

    async def report(self, name: str) -> ExperimentReport:
        """Raises NotFoundError, StorageError."""
        experiment = await self._experiments.experiment(name)
        await self._writer.flush()
        loop = asyncio.get_running_loop()
        work = partial(self._report, experiment, now=self._now(), held_out=self._assigner.holdout_share > 0)
        return await loop.run_in_executor(self._executor, work)

    async def evaluate(self, name: str, rules: Sequence[Rule], *, metric: str, clip: float) -> PolicyEstimates:
        """What the lists would have earned by a policy.

        Raises NotFoundError, InvalidRequestError for unknown arms, RefusedExperimentError when nothing is known yet, or
        StorageError.
        """
        experiment = await self._experiments.experiment(name)
        known = [arm.name for arm in experiment.plan.arms]
        violations = [
            FieldViolation(f"rules[{place}].arms", f"{arm!r} is no arm of {name!r}; its arms are {', '.join(known)}")
            for place, rule in enumerate(rules)
            for arm in rule.arms
            if arm not in known
        ]
        if violations:
            raise InvalidRequestError(violations)
        await self._writer.flush()
        work = partial(self._evaluate, experiment, tuple(rules), metric=metric, clip=clip, now=self._now())
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _evaluate(
        self, experiment: Experiment, rules: Sequence[Rule], *, metric: str, clip: float, now: float
    ) -> PolicyEstimates:
        lists = _observed(self._outcomes(experiment), experiment, now=now)
        # Once an arm has stopped, its listeners are missing, and the others' propensities are no longer what was drawn.
        lists = lists.take(lists.created_at <= _first_stop(experiment))
        if not len(lists):
            raise RefusedExperimentError(
                f"no listener of {experiment.plan.name!r} has an observation window that is over; try again later"
            )
        return evaluate(rules, lists, lists.numerator(metric), clip=clip or math.inf)

    def _report(self, experiment: Experiment, *, now: float, held_out: bool) -> ExperimentReport:
        plan = experiment.plan
        lists = self._outcomes(experiment)
        observed = _observed(lists, experiment, now=now)
        sums = {arm.name: _sums(observed, arm.name) for arm in plan.arms}
        arms = [_arm_report(arm.name, lists, observed, sums[arm.name]) for arm in plan.arms]
        if held_out:
            rest = self._outcomes(experiment, held_out=True)
            rest_observed = _observed(rest, experiment, now=now)
            arms.append(_arm_report(HOLDOUT, rest, rest_observed, _sums(rest_observed, HOLDOUT)))
        others = [arm.name for arm in plan.arms if arm.name != plan.control]
        comparisons = tuple(
            Comparison(
                arm,
                metric,
                lift(sums[arm][metric], sums[plan.control][metric], tau=plan.smallest_lift, alpha=ALPHA / len(others)),
            )
            for arm in others
            for metric in METRICS
        )
        ratio = _sample_ratio(experiment, lists)
        return ExperimentReport(
            experiment,
            tuple(arms),
            comparisons,
            ratio,
            "" if ratio.alarm else _winner(experiment, comparisons),
            tuple(_notes(experiment, arms, ratio)),
        )

    def _outcomes(self, experiment: Experiment, *, held_out: bool = False) -> ListOutcomes:
        name, since = ("", experiment.created_at) if held_out else (experiment.plan.name, 0.0)
        rows = self._exposures.outcomes(name, window_s=experiment.plan.window_s, since=since)
        return _columns(rows, (HOLDOUT,) if held_out else tuple(arm.name for arm in experiment.plan.arms))


def _columns(rows: Sequence[Any], arms: tuple[str, ...]) -> ListOutcomes:
    def floats(name: str) -> Any:
        return np.asarray([getattr(row, name) for row in rows], np.float64)

    units = {unit: number for number, unit in enumerate(dict.fromkeys((row.user_id, row.group_key) for row in rows))}
    places = {arm: place for place, arm in enumerate(arms)}
    return ListOutcomes(
        arms=arms,
        listener=np.asarray([units[row.user_id, row.group_key] for row in rows], np.int64),
        arm=np.asarray([places[row.arm] for row in rows], np.int64),
        history_length=np.asarray([row.history_length for row in rows], np.int64),
        mood=np.asarray([row.mood for row in rows], object),
        **{
            name: floats(name)
            for name in (
                "propensity",
                "entered_at",
                "created_at",
                "engaged",
                "started",
                "completed",
                "skipped",
                "added",
                "group_events",
                "diversity",
                "opinion",
                "opinions",
            )
        },
    )


def _observed(lists: ListOutcomes, experiment: Experiment, *, now: float) -> ListOutcomes:
    """What happened after the end of an experiment does not count: its listeners were served as everybody then."""
    until = now if experiment.stopped_at is None else min(now, experiment.stopped_at)
    return lists.observed(now=until, window_s=experiment.plan.window_s)


def _sums(observed: ListOutcomes, arm: str) -> dict[str, Sums]:
    own = observed.take(observed.arm == observed.arms.index(arm))
    return {metric: Sums.of(*own.of_listeners(metric)) for metric in METRICS}


def _arm_report(arm: str, lists: ListOutcomes, observed: ListOutcomes, sums: dict[str, Sums]) -> ArmReport:
    place = lists.arms.index(arm)
    own = observed.arm == place
    return ArmReport(
        arm,
        listeners=len(np.unique(lists.listener[lists.arm == place])),
        observed_listeners=len(np.unique(observed.listener[own])),
        lists=int(np.count_nonzero(own)),
        metrics=tuple((metric, sums[metric].value) for metric in METRICS),
    )


def _sample_ratio(experiment: Experiment, lists: ListOutcomes) -> SampleRatio:
    """Listeners who came before the first arm was stopped: afterwards that arm gets no more."""
    counted = lists.entered_at <= _first_stop(experiment)
    pairs = np.unique(np.stack([lists.listener[counted], lists.arm[counted]]), axis=1)
    counts = np.bincount(pairs[1], minlength=len(lists.arms)).tolist()
    shares = [arm.share for arm in experiment.plan.arms]
    expected = tuple((arm.name, sum(counts) * arm.share) for arm in experiment.plan.arms)
    return SampleRatio(sample_ratio_p_value(counts, shares), expected)


def _first_stop(experiment: Experiment) -> float:
    """When a guardrail stopped the first arm; never is infinity."""
    return min((record.at for record in experiment.stopped_arms.values()), default=math.inf)


def _winner(experiment: Experiment, comparisons: Sequence[Comparison]) -> str:
    metric, sign = experiment.plan.metric, -1 if experiment.plan.metric in LESS_IS_BETTER else 1
    better = {
        each.arm: sign * each.lift.estimate
        for each in comparisons
        if each.metric == metric
        and each.lift is not None
        and min(sign * each.lift.low, sign * each.lift.high) > 0
        and each.arm not in experiment.stopped_arms
    }
    return max(better, key=better.__getitem__, default="")


def _notes(experiment: Experiment, arms: Sequence[ArmReport], ratio: SampleRatio) -> list[str]:
    notes = []
    if ratio.alarm:
        notes.append(
            f"the arms have not the listeners that their shares say (p = {ratio.p_value:.1e}): something keeps some "
            "listeners of an arm from being counted, and no comparison means anything before it is found"
        )
    for arm, record in experiment.stopped_arms.items():
        notes.append(f"a guardrail stopped {arm}: {record.detail}")
    waiting = sum(arm.listeners - arm.observed_listeners for arm in arms if arm.arm != HOLDOUT)
    if waiting and experiment.state == "running":
        window = _duration(experiment.plan.window_s)
        notes.append(f"{waiting} listeners are within their first {window} and count later")
    few = [arm.arm for arm in arms if arm.arm != HOLDOUT and arm.observed_listeners < LEAST_LISTENERS]
    if few:
        notes.append(f"fewer than {LEAST_LISTENERS} observed listeners in {', '.join(few)}: no intervals yet")
    return notes


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"
