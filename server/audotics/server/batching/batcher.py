"""The row batcher: jobs of many callers go in, run together in few calls on an executor, and come out one by one.

A job that finds the batcher idle runs at once, so a lone caller never waits for company. While a batch runs, later jobs
gather; they leave when a batch ends or, where another may run beside it, when it is no longer worth waiting for more.

A thread that has run a batch takes the next one itself: on a busy machine, to wake the event loop for that and then a
thread again leaves the processor idle for a fifth of the time. So the queue is behind a lock; the rest is the loop's.
While threads run batches and a full one waits, the loop puts that together, so that a thread goes from run to run.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Generic, Self

from audotics.server.batching.batch import Batch, expire
from audotics.server.batching.counts import BatchCounts
from audotics.server.batching.messenger import Messenger
from audotics.server.batching.queue import Entry, RowQueue
from audotics.server.batching.window import AdaptiveWindow
from audotics.server.batching.workload import JobT, ResultT, Workload
from audotics.server.errors import DeadlineError, OverloadedError
from audotics.server.types import ANYBODY, Caller

_MIN_RETRY_S: Final = 0.01

_BRIEF_S: Final = 0.0005
"""The event loop puts a batch together where that takes no longer."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Rows of one batch, rows that may wait, batches at once, and how long jobs gather at most while another runs."""

    batch_rows: int = 4096
    queue_rows: int = 65_536
    concurrency: int = 1
    window_s: float = 0.001

    def __post_init__(self) -> None:
        if min(self.batch_rows, self.queue_rows, self.concurrency) < 1 or not self.window_s >= 0:
            raise ValueError(f"{self}: rows and concurrency must be at least 1, and window_s at least 0")


class RowBatcher(Generic[JobT, ResultT]):
    """Runs a workload's jobs in batches. Use it as an async context manager; leaving it waits for submitted jobs."""

    def __init__(
        self,
        workload: Workload[JobT, ResultT],
        *,
        executor: Executor,
        limits: BatchLimits | None = None,
        counts: BatchCounts | None = None,
    ) -> None:
        """`counts` is for several batchers that count as one."""
        self._workload = workload
        self._executor = executor
        self._limits = BatchLimits() if limits is None else limits
        self._queue: RowQueue[JobT, ResultT] = RowQueue(limit_rows=self._limits.queue_rows)
        self._lock = threading.Lock()
        self._window = AdaptiveWindow(self._limits.window_s)
        self._running = 0
        self._done: deque[Batch[JobT, ResultT]] = deque()
        self._ahead: Batch[JobT, ResultT] | None = None
        self._row_assembly_s = math.inf
        self._last_batch_s = 0.0
        self._gathering: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = False
        self._messenger: Messenger | None = None
        self.counts: Final = BatchCounts() if counts is None else counts

    async def __aenter__(self) -> Self:
        self._open = True
        self._messenger = Messenger()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        await self._idle.wait()
        if self._messenger is not None:
            self._messenger.close()

    @property
    def waiting_rows(self) -> int:
        """Rows of the jobs that wait now."""
        return self._queue.rows

    async def submit(
        self,
        job: JobT,
        *,
        deadline: float | None = None,
        caller: Caller = ANYBODY,
    ) -> ResultT:
        """Run `job` and return its result. `deadline` is on the clock of `time.monotonic()`.

        While jobs wait, those of a higher class go first, tenants take turns, and of one tenant's the one with the
        earliest deadline is next.

        Raises OverloadedError when too many rows wait, at once or when others take the job's place; DeadlineError as
        soon as the deadline passes; and what the workload raises for this job alone. When the caller is cancelled, a
        job that still waits is dropped.
        """
        if not self._open:
            raise RuntimeError("the batcher takes jobs only inside its `async with` block")
        now = time.monotonic()
        if deadline is not None and deadline <= now:
            self.counts.expired += 1
            raise DeadlineError("the deadline had passed before the tracks could be scored")
        loop = asyncio.get_running_loop()
        rows = self._workload.rows(job)
        pieces = [job] if rows <= self._limits.batch_rows else self._workload.split(job, self._limits.batch_rows)
        key, latest = self._workload.key(job), math.inf if deadline is None else deadline
        entries: list[Entry[JobT, ResultT]] = [
            Entry(piece, self._workload.rows(piece), key, latest, now, caller, loop.create_future()) for piece in pieces
        ]
        self._enqueue(entries, rows, caller)
        timer = None if deadline is None else loop.call_later(deadline - now, expire, entries)
        self._window.arrived(rows, now=now)
        self._idle.clear()
        self._pump(gathered=False)
        try:
            if len(entries) == 1:
                return await entries[0].future
            return self._workload.join(await asyncio.gather(*(entry.future for entry in entries)))
        except OverloadedError:
            self.counts.refused += 1
            raise
        except DeadlineError:
            self.counts.expired += 1
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._abandon(entries)

    def _enqueue(self, entries: Sequence[Entry[JobT, ResultT]], rows: int, caller: Caller) -> None:
        limits = self._limits
        with self._lock:
            waiting_rows = self._queue.rows
            displaced = self._queue.admit(rows, caller)
            if displaced is not None:
                self._queue.put(entries)
        if displaced == []:
            return
        batches = 1 + waiting_rows // limits.batch_rows
        refusal = partial(
            OverloadedError,
            f"{waiting_rows} rows wait for scoring, and {limits.queue_rows} may; try again later",
            retry_after_s=max(_MIN_RETRY_S, batches * self._last_batch_s / limits.concurrency),
        )
        if displaced is None:
            self.counts.refused += 1
            raise refusal()
        for entry in displaced:
            entry.fail(refusal())

    def _abandon(self, entries: Sequence[Entry[JobT, ResultT]]) -> None:
        for entry in entries:
            if entry.future.done() and not entry.future.cancelled() and entry.future.exception() is None:
                continue
            entry.future.cancel()
            with self._lock:
                self._queue.remove(entry)
        self._settle()

    def _pump(self, *, gathered: bool) -> None:
        """Start what may start. `gathered` says that the waiting jobs have waited for company long enough."""
        limits = self._limits
        while self._queue and self._running < limits.concurrency:
            if not gathered and self._running and (remaining_s := self._worth_waiting_s()) > 0:
                if self._gathering is None:
                    self._gathering = asyncio.get_running_loop().call_later(remaining_s, self._close_window)
                return
            batch = self._take()
            if batch is not None:
                self._start(batch, asyncio.get_running_loop())
        self._look_ahead()

    def _worth_waiting_s(self) -> float:
        with self._lock:
            missing_rows = self._limits.batch_rows - self._queue.rows
            if missing_rows <= 0 or not self._queue:
                return 0.0
            return self._queue.oldest + self._window.wait_s(missing_rows) - time.monotonic()

    def _look_ahead(self) -> None:
        """Put together the batch that is likely to run next. Its jobs still wait: it may turn out to be another."""
        limit_rows = self._limits.batch_rows
        if self._ahead is not None or self._queue.rows < limit_rows or self._row_assembly_s * limit_rows > _BRIEF_S:
            return
        with self._lock:
            entries = self._queue.next(limit_rows)
        if entries:
            batch = Batch(self._workload, entries)
            self._assemble(batch)
            self._ahead = batch

    def _assemble(self, batch: Batch[JobT, ResultT]) -> None:
        batch.assemble()
        if batch.rows:
            self._row_assembly_s = batch.assembly_s / batch.rows

    def _take(self) -> Batch[JobT, ResultT] | None:
        with self._lock:
            entries = self._queue.take(self._limits.batch_rows)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.entries == entries:
            return ahead
        return Batch(self._workload, entries) if entries else None

    def _close_window(self) -> None:
        self._gathering = None
        self._pump(gathered=True)

    def _start(self, batch: Batch[JobT, ResultT], loop: asyncio.AbstractEventLoop) -> None:
        self._running += 1
        try:
            self._executor.submit(self._work, batch, loop)
        except RuntimeError as error:  # the executor was shut down
            self._running -= 1
            for entry in batch.entries:
                entry.fail(error)

    def _work(self, batch: Batch[JobT, ResultT] | None, loop: asyncio.AbstractEventLoop) -> None:
        messenger = self._messenger
        while batch is not None:
            if not batch.assembled:
                self._assemble(batch)
            batch.run()
            self._done.append(batch)
            batch = self._take()
            if batch is not None and messenger is not None:
                messenger.tell(loop, self._deliver)
        loop.call_soon_threadsafe(self._finish)

    def _deliver(self) -> None:
        """Answer the callers of what has run."""
        while self._done:
            batch = self._done.popleft()
            self._last_batch_s = batch.run_s
            if batch.rows:
                self.counts.ran(rows=batch.rows, jobs=batch.jobs, elapsed_s=batch.run_s)
            self._retry(batch.answer())

    def _retry(self, entries: Sequence[Entry[JobT, ResultT]]) -> None:
        """Have entries that failed together run again, each alone: its key is like no other."""
        if not entries:
            return
        for entry in entries:
            entry.key = object()
        with self._lock:
            self._queue.put_back(entries)
        self._pump(gathered=True)

    def _finish(self) -> None:
        self._running -= 1
        self._deliver()
        self._pump(gathered=True)
        self._settle()

    def _settle(self) -> None:
        if not self._queue and not self._running:
            self._ahead = None
            self._idle.set()
