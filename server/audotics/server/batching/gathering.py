"""Brief jobs that run on the event loop: they go in one by one, and run with those that come right behind them.

On a busy server requests reach the loop one after the other, each as long as it takes to read one. To run each at once
costs far more than the run itself: it displaces from the processor's caches what the loop needs for the next request,
and the other way round. So a job waits for as many as came together of late, and for no longer than `PATIENCE_S` after
the latest. How many that are is learnt from what came: a lone caller's jobs run at once.

The loop is asked to come back at once while jobs wait, since its timers are no finer than a millisecond.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Hashable, Sequence
from typing import Generic

from audotics.server.batching.batch import Batch, expire
from audotics.server.batching.company import PATIENCE_S, Company
from audotics.server.batching.counts import BatchCounts
from audotics.server.batching.queue import Entry
from audotics.server.batching.workload import JobT, ResultT, Workload, work_on
from audotics.server.errors import DeadlineError
from audotics.server.types import Caller


class Gathering(Generic[JobT, ResultT]):
    """Runs a workload's brief jobs on the event loop, up to `most` together. It belongs to that loop."""

    def __init__(self, workload: Workload[JobT, ResultT], *, most: int, counts: BatchCounts) -> None:
        self._workload = workload
        self._company = Company(most)
        self._waiting: list[Entry[JobT, ResultT]] = []
        self._latest = 0.0
        self._looking = False
        self._counts = counts

    async def submit(self, job: JobT, *, deadline: float | None, caller: Caller) -> ResultT:
        """Run `job` and return its result. `deadline` is on the clock of `time.monotonic()`.

        Raises DeadlineError when it has passed before the job runs, and what the workload raises for this job alone.
        """
        now, company = time.perf_counter(), self._company
        if not self._waiting:
            company.begins(now)
            if company.expected == 1:
                return self._run_alone(job, deadline)
        latest, loop = math.inf if deadline is None else deadline, asyncio.get_running_loop()
        key, rows = self._workload.key(job), self._workload.rows(job)
        entry: Entry[JobT, ResultT] = Entry(job, rows, key, latest, time.monotonic(), caller, loop.create_future())
        self._waiting.append(entry)
        self._latest = now
        if len(self._waiting) >= company.expected:
            self._run()
        elif not self._looking:
            self._looking = True
            loop.call_soon(self._look, loop)
        try:
            return await entry.future
        except DeadlineError:
            self._counts.expired += 1
            raise

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run what waits, unless more may still come."""
        if self._waiting and time.perf_counter() - self._latest >= PATIENCE_S:
            self._run()
        self._looking = bool(self._waiting)
        if self._looking:
            loop.call_soon(self._look, loop)

    def _run_alone(self, job: JobT, deadline: float | None) -> ResultT:
        if deadline is not None and deadline <= time.monotonic():
            self._counts.expired += 1
            raise DeadlineError("the deadline had passed before the tracks could be scored")
        self._counts.alone += 1
        try:
            return work_on(self._workload, [job])[0]
        finally:
            self._company.ran(1, now=time.perf_counter())

    def _run(self) -> None:
        """Run all that waits: jobs that can share a run do."""
        entries, self._waiting = self._waiting, []
        now = time.monotonic()
        alike: dict[Hashable, list[Entry[JobT, ResultT]]] = {}
        for entry in entries:
            if entry.wanted(now):
                alike.setdefault(entry.key, []).append(entry)
        for batch in alike.values():
            for entry in self._run_together(batch):
                self._run_together([entry])
        expire(entries)
        self._company.ran(len(entries), now=time.perf_counter())

    def _run_together(self, entries: Sequence[Entry[JobT, ResultT]]) -> Sequence[Entry[JobT, ResultT]]:
        """Those that failed together come back."""
        batch = Batch(self._workload, entries)
        batch.assemble()
        batch.run()
        if batch.rows:
            self._counts.ran(rows=batch.rows, jobs=batch.jobs, elapsed_s=batch.assembly_s + batch.run_s)
        return batch.answer()
