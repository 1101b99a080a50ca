"""Where batches are put together and taken apart, and what becomes of those for which that fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from audotics.server.batching.batcher import BatchLimits, RowBatcher
from audotics.server.types import Caller, Priority
from tests.server.batching.doubling import Doubling, Job, PoisonError, Run

LIMITS = BatchLimits(batch_rows=4, queue_rows=100, concurrency=1, window_s=3600.0)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.mark.parametrize("stage", ["assemble", "results"])
async def test_jobs_that_fail_only_together_are_answered_alone(executor: ThreadPoolExecutor, stage: str) -> None:
    def fail(jobs: Sequence[Job]) -> None:
        if len(jobs) > 1:
            raise PoisonError

    class Apart(Run):
        def results(self) -> Sequence[list[int]]:
            if stage == "results":
                fail(self.jobs)
            return super().results()

    class Solitary(Doubling):
        def assemble(self, jobs: Sequence[Job]) -> Run:
            if stage == "assemble":
                fail(jobs)
            return Apart(self.run, jobs)

    workload = Solitary()
    async with RowBatcher(workload, executor=executor, limits=LIMITS) as batcher:
        first = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        later = [asyncio.create_task(batcher.submit(Job((value,)))) for value in (2, 3, 4)]
        await asyncio.sleep(0)
        workload.gate.set()
        assert await asyncio.gather(first, *later) == [[2], [4], [6], [8]]
    assert [len(batch) for batch in workload.batches if len(batch) == 1] == [1] * 4


async def test_a_full_batch_is_put_together_while_another_runs(executor: ThreadPoolExecutor) -> None:
    class Watched(Doubling):
        def __init__(self) -> None:
            super().__init__()
            self.assembled: list[tuple[list[Job], int]] = []

        def assemble(self, jobs: Sequence[Job]) -> Run:
            self.assembled.append((list(jobs), threading.get_ident()))
            return super().assemble(jobs)

    workload, here = Watched(), threading.get_ident()
    full, urgent = Job((2,) * 4), Job((3,) * 4)
    async with RowBatcher(workload, executor=executor, limits=LIMITS) as batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        waiting = asyncio.create_task(batcher.submit(full))
        await asyncio.sleep(0)
        assert workload.assembled[1:] == [([full], here)]
        overtaking = asyncio.create_task(batcher.submit(urgent, caller=Caller(priority=Priority.HIGH)))
        await asyncio.sleep(0)
        workload.gate.set()
        await asyncio.gather(running, waiting, overtaking)
    assert [batch[0].values[0] for batch in workload.batches] == [1, 3, 2]


async def test_what_takes_long_to_put_together_is_left_to_a_thread(executor: ThreadPoolExecutor) -> None:
    class Slow(Doubling):
        def assemble(self, jobs: Sequence[Job]) -> Run:
            threads.append(threading.get_ident())
            time.sleep(0.002)
            return super().assemble(jobs)

    threads: list[int] = []
    workload = Slow()
    async with RowBatcher(workload, executor=executor, limits=LIMITS) as batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        waiting = [asyncio.create_task(batcher.submit(Job((value,) * 4))) for value in (2, 3)]
        await asyncio.sleep(0)
        workload.gate.set()
        await asyncio.gather(running, *waiting)
    assert len(threads) == 3
    assert threading.get_ident() not in threads
