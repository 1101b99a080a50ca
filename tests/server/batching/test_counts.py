"""What the row batcher counts of its jobs and batches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from audotics.server.batching.batcher import BatchLimits, RowBatcher
from audotics.server.errors import DeadlineError, OverloadedError
from audotics.server.types import Caller, Priority
from tests.server.batching.doubling import Run

WAIT_S = 20.0

Job = tuple[int, ...]


class Held:
    """Gives jobs back as they are, once `gate` is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.started = threading.Event()

    def rows(self, job: Job) -> int:
        return len(job)

    def key(self, job: Job) -> str:
        return "all alike"

    def split(self, job: Job, limit_rows: int) -> list[Job]:
        return [job[start : start + limit_rows] for start in range(0, len(job), limit_rows)]

    def join(self, results: Sequence[Job]) -> Job:
        return tuple(value for result in results for value in result)

    def assemble(self, jobs: Sequence[Job]) -> Run:
        return Run(self.run, jobs)

    def run(self, jobs: Sequence[Job]) -> list[Job]:
        self.started.set()
        assert self.gate.wait(WAIT_S)
        return list(jobs)


async def test_what_became_of_jobs_is_counted() -> None:
    workload, limits = Held(), BatchLimits(batch_rows=4, queue_rows=4)
    with ThreadPoolExecutor(1) as executor:
        async with RowBatcher(workload, executor=executor, limits=limits) as batcher:
            first = asyncio.ensure_future(batcher.submit((1, 2)))
            assert await asyncio.to_thread(workload.started.wait, WAIT_S)
            with pytest.raises(DeadlineError):  # while it waits
                await batcher.submit((6,), deadline=time.monotonic() + 0.01)
            waiting = [asyncio.ensure_future(batcher.submit((value, value))) for value in (3, 4)]
            await asyncio.sleep(0)
            assert batcher.waiting_rows == 4
            with pytest.raises(OverloadedError):
                await batcher.submit((5,))
            with pytest.raises(DeadlineError):
                await batcher.submit((6,), deadline=time.monotonic() - 1)
            urgent = asyncio.ensure_future(batcher.submit((7, 7), caller=Caller(priority=Priority.HIGH)))
            with pytest.raises(OverloadedError):
                await waiting.pop()
            workload.gate.set()
            await asyncio.gather(first, *waiting, urgent)
    counts = batcher.counts
    assert (counts.rows.count, counts.rows.total, counts.jobs) == (2, 6, 3)
    assert dict(counts.rows.buckets())["4.0"] == 2
    assert (counts.refused, counts.expired, counts.alone) == (2, 2, 0)
    assert counts.busy_s > 0
    assert batcher.waiting_rows == 0
