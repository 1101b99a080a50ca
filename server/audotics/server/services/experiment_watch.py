"""The watch over experiments: how the arms' requests went goes in, and arms that break a guardrail are stopped.

It looks every few seconds, and follows what other servers that share the database have started and ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from concurrent.futures import Executor
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from audotics.server.experiments.experiment import Experiment
from audotics.server.experiments.guardrails import Health, Moments, verdict
from audotics.server.services.assigner import Assigner
from audotics.server.services.experiments import ExperimentService
from audotics.server.storage.errors import StorageError
from audotics.server.storage.exposures import ExposureStore

_LOG: Final = logging.getLogger(__name__)


class ExperimentWatch:
    """Checks guardrails. Use it as an async context manager; entering reads the experiments that run."""

    def __init__(
        self,
        *,
        experiments: ExperimentService,
        assigner: Assigner,
        exposures: ExposureStore,
        executor: Executor,
        interval_s: float,
    ) -> None:
        """`executor` is for reading all that an experiment has shown."""
        self._experiments = experiments
        self._assigner = assigner
        self._exposures = exposures
        self._executor = executor
        self._interval_s = interval_s
        self._watching: asyncio.Task[None] | None = None
        self._failing = False
        self.stops: Final[Counter[tuple[str, str]]] = Counter()
        """Arms that this server has stopped, by experiment and arm."""

    async def __aenter__(self) -> Self:
        """Raises StorageError."""
        await self._experiments.reload()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    async def check(self) -> None:
        """Follow what was changed elsewhere, and stop every arm that breaks a guardrail. Raises StorageError."""
        await self._experiments.reload()
        for experiment in self._assigner.experiments:
            healths = await self._healths(experiment)
            control = healths[experiment.plan.control]
            for arm, health in healths.items():
                if arm == experiment.plan.control or arm in experiment.stopped_arms:
                    continue
                if reason := verdict(health, control, experiment.plan.guardrails):
                    _LOG.error("arm %s of experiment %s is stopped: %s", arm, experiment.plan.name, reason)
                    await self._experiments.stop_arm(experiment.plan.name, arm, reason)
                    self.stops[experiment.plan.name, arm] += 1

    async def _healths(self, experiment: Experiment) -> dict[str, Health]:
        name = experiment.plan.name
        loop = asyncio.get_running_loop()
        diversity = await loop.run_in_executor(self._executor, self._exposures.diversity, name)
        healths = {}
        for arm in experiment.plan.arms:
            moments = {
                of_group: Moments(sums.count, sums.total, sums.squares)
                for of_group, sums in diversity.get(arm.name, {}).items()
            }
            healths[arm.name] = replace(self._assigner.health(name, arm.name), diversity=moments)
        return healths

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.check()
            except StorageError as error:
                if not self._failing:
                    _LOG.warning("experiments go on as they are, unwatched for now: %s", error)
                self._failing = True
            except Exception:
                _LOG.exception("experiments could not be checked")
            else:
                self._failing = False
