"""The row batcher: jobs of many callers go in, run together in few calls on an executor, and come out one by one.

A job that finds the batcher idle runs at once, so a lone caller never waits for company. While a batch runs, later jobs
gather; they leave when a batch ends or, where another may run beside it, a window after the first of them came.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Generic, Self

from audotics.server.batching.workload import JobT, ResultT, Workload
from audotics.server.errors import DeadlineError, OverloadedError

_MIN_RETRY_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Rows of one batch, rows that may wait, batches at once, and how long jobs gather while another batch runs."""

    batch_rows: int = 4096
    queue_rows: int = 65_536
    concurrency: int = 1
    window_s: float = 0.001

    def __post_init__(self) -> None:
        if min(self.batch_rows, self.queue_rows, self.concurrency) < 1 or not self.window_s >= 0:
            raise ValueError(f"{self}: rows and concurrency must be at least 1, and window_s at least 0")


@dataclass(slots=True, eq=False)
class _Entry(Generic[JobT, ResultT]):
    """A job that fits into a batch, and the future its caller waits for."""

    job: JobT
    rows: int
    key: Hashable
    deadline: float | None
    arrived: float
    future: asyncio.Future[ResultT]

    def wanted(self) -> bool:
        return not self.future.done() and (self.deadline is None or time.monotonic() < self.deadline)

    def resolve(self, result: ResultT) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class RowBatcher(Generic[JobT, ResultT]):
    """Runs a workload's jobs in batches. Use it as an async context manager; leaving it waits for submitted jobs."""

    def __init__(
        self, workload: Workload[JobT, ResultT], *, executor: Executor, limits: BatchLimits | None = None
    ) -> None:
        self._workload = workload
        self._executor = executor
        self._limits = BatchLimits() if limits is None else limits
        self._waiting: deque[_Entry[JobT, ResultT]] = deque()
        self._waiting_rows = 0
        self._running = 0
        self._last_batch_s = 0.0
        self._window: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        await self._idle.wait()

    async def submit(self, job: JobT, *, deadline: float | None = None) -> ResultT:
        """Run `job` and return its result. `deadline` is on the clock of `time.monotonic()`.

        Raises OverloadedError when too many rows wait, DeadlineError as soon as the deadline passes, and what the
        workload raises for this job alone. When the caller is cancelled, a job that still waits is dropped.
        """
        if not self._open:
            raise RuntimeError("the batcher takes jobs only inside its `async with` block")
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            raise DeadlineError("the deadline had passed before the tracks could be scored")
        loop = asyncio.get_running_loop()
        entries = self._enqueue(job, deadline, loop)
        timer = None if remaining is None else loop.call_later(remaining, _expire, entries)
        try:
            if len(entries) == 1:
                return await entries[0].future
            return self._workload.join(await asyncio.gather(*(entry.future for entry in entries)))
        finally:
            if timer is not None:
                timer.cancel()
            self._abandon(entries)

    def _enqueue(
        self, job: JobT, deadline: float | None, loop: asyncio.AbstractEventLoop
    ) -> list[_Entry[JobT, ResultT]]:
        rows, limits = self._workload.rows(job), self._limits
        # A job larger than the whole queue must still get through, so an empty queue takes any.
        if self._waiting_rows and self._waiting_rows + rows > limits.queue_rows:
            batches = 1 + self._waiting_rows // limits.batch_rows
            raise OverloadedError(
                f"{self._waiting_rows} rows wait for scoring, and {limits.queue_rows} may; try again later",
                retry_after_s=max(_MIN_RETRY_S, batches * self._last_batch_s / limits.concurrency),
            )
        pieces = [job] if rows <= limits.batch_rows else self._workload.split(job, limits.batch_rows)
        key, now = self._workload.key(job), loop.time()
        entries: list[_Entry[JobT, ResultT]] = [
            _Entry(piece, self._workload.rows(piece), key, deadline, now, loop.create_future()) for piece in pieces
        ]
        self._waiting.extend(entries)
        self._waiting_rows += rows
        self._idle.clear()
        self._pump(gathered=False)
        return entries

    def _abandon(self, entries: Sequence[_Entry[JobT, ResultT]]) -> None:
        for entry in entries:
            if entry.future.done() and not entry.future.cancelled() and entry.future.exception() is None:
                continue
            entry.future.cancel()
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._waiting_rows -= entry.rows
        self._settle()

    def _pump(self, *, gathered: bool) -> None:
        """Start what may start. `gathered` says that the waiting jobs have waited for company long enough."""
        loop, limits = asyncio.get_running_loop(), self._limits
        while self._waiting and self._running < limits.concurrency:
            if not gathered and self._running and self._waiting_rows < limits.batch_rows:
                if self._window is None:
                    opened = self._waiting[0].arrived
                    self._window = loop.call_at(opened + limits.window_s, self._close_window)
                return
            batch = self._take()
            if batch:
                self._start(batch, loop)

    def _close_window(self) -> None:
        self._window = None
        self._pump(gathered=True)
        self._settle()

    def _take(self) -> list[_Entry[JobT, ResultT]]:
        """Remove the next batch from the queue: the oldest wanted job and those that can run with it, in order."""
        batch: list[_Entry[JobT, ResultT]] = []
        rest: deque[_Entry[JobT, ResultT]] = deque()
        rows, full = 0, False
        for entry in self._waiting:
            if not entry.wanted():
                self._waiting_rows -= entry.rows
            elif batch and (full or entry.key != batch[0].key):
                rest.append(entry)
            elif batch and rows + entry.rows > self._limits.batch_rows:
                full = True  # a later, smaller job must not overtake this one
                rest.append(entry)
            else:
                batch.append(entry)
                rows += entry.rows
        self._waiting = rest
        self._waiting_rows -= rows
        return batch

    def _start(self, batch: list[_Entry[JobT, ResultT]], loop: asyncio.AbstractEventLoop) -> None:
        self._running += 1
        try:
            self._executor.submit(self._work, batch, loop)
        except RuntimeError as error:  # the executor was shut down
            self._running -= 1
            for entry in batch:
                entry.fail(error)

    def _work(self, batch: list[_Entry[JobT, ResultT]], loop: asyncio.AbstractEventLoop) -> None:
        started = time.perf_counter()
        outcomes = self._outcomes(batch)
        loop.call_soon_threadsafe(self._finish, outcomes, time.perf_counter() - started)

    def _outcomes(self, batch: list[_Entry[JobT, ResultT]]) -> list[Callable[[], None]]:
        """Run the batch, or after a failure each of its jobs alone. What comes back answers one caller a call."""
        wanted = [entry for entry in batch if entry.wanted()]
        if not wanted:
            return []
        try:
            results = self._workload.run([entry.job for entry in wanted])
            return [partial(entry.resolve, result) for entry, result in zip(wanted, results, strict=True)]
        except Exception as error:  # whatever it is, it is the caller's to handle
            if len(wanted) == 1:
                return [partial(wanted[0].fail, error)]
            return [outcome for entry in wanted for outcome in self._outcomes([entry])]

    def _finish(self, outcomes: list[Callable[[], None]], elapsed_s: float) -> None:
        self._running -= 1
        self._last_batch_s = elapsed_s
        for outcome in outcomes:
            outcome()
        self._pump(gathered=True)
        self._settle()

    def _settle(self) -> None:
        if not self._waiting and not self._running:
            self._idle.set()


def _expire(entries: Sequence[_Entry[JobT, ResultT]]) -> None:
    for entry in entries:
        entry.fail(DeadlineError("the deadline passed while the tracks waited to be scored"))
