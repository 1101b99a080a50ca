"""A workload whose results are known, which can be held and made to fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from audotics.server.batching.batcher import BatchLimits

POISON = -1
WAIT_S = 20.0


class PoisonError(Exception):
    pass


@dataclass(frozen=True)
class Job:
    values: tuple[int, ...]
    group: str = "a"


@dataclass
class Run:
    """Work whose run is a function of its jobs."""

    function: Callable[[Sequence[Any]], Sequence[Any]]
    jobs: Sequence[Any]
    found: Sequence[Any] = ()

    def run(self) -> None:
        self.found = self.function(self.jobs)

    def results(self) -> Sequence[Any]:
        return self.found


@dataclass
class Doubling:
    """Doubles values; fails on a batch with a poisoned one. `gate` holds a run until it is set."""

    gate: threading.Event = field(default_factory=threading.Event)
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    batches: list[list[Job]] = field(default_factory=list)

    def rows(self, job: Job) -> int:
        return len(job.values)

    def key(self, job: Job) -> str:
        return job.group

    def split(self, job: Job, limit_rows: int) -> list[Job]:
        values = job.values
        return [Job(values[i : i + limit_rows], job.group) for i in range(0, len(values), limit_rows)]

    def join(self, results: Sequence[list[int]]) -> list[int]:
        return [value for result in results for value in result]

    def assemble(self, jobs: Sequence[Job]) -> Run:
        return Run(self.run, jobs)

    def run(self, jobs: Sequence[Job]) -> list[list[int]]:
        self.batches.append(list(jobs))
        self.started.release()
        assert self.gate.wait(WAIT_S)
        if any(POISON in job.values for job in jobs):
            raise PoisonError
        return [[2 * value for value in job.values] for job in jobs]

    async def wait_for_start(self) -> None:
        assert await asyncio.to_thread(self.started.acquire, timeout=WAIT_S)


def limits(**changes: float) -> BatchLimits:
    """Narrow ones, under which nobody runs before somebody lets them."""
    return BatchLimits(**{"batch_rows": 4, "queue_rows": 8, "concurrency": 1, "window_s": 3600.0, **changes})
