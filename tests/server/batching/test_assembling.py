"""Where batches are put together and taken apart, and what becomes of those for which that fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from audotics.server.batching.batcher import BatchLimits, RowBatcher
from audotics.server.errors import DeadlineError
from audotics.server.types import Caller, Priority
from tests.server.batching.doubling import POISON, WAIT_S, Doubling, Job, PoisonError, Run

LIMITS = BatchLimits(batch_rows=4, queue_rows=100, concurrency=1, window_s=3600.0)


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


class Watched(Doubling):
    """Notes what was put together, and by which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.assembled: list[tuple[list[Job], int]] = []

    def assemble(self, jobs: Sequence[Job]) -> Run:
        self.assembled.append((list(jobs), threading.get_ident()))
        return super().assemble(jobs)


async def test_what_the_loop_has_put_together_is_not_put_together_again(executor: ThreadPoolExecutor) -> None:
    workload, here = Watched(), threading.get_ident()
    async with RowBatcher(workload, executor=executor, limits=LIMITS) as batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        waiting = []
        for value, n_assembled in ((2, 1), (3, 2), (4, 2)):  # two of them are a full batch
            waiting.append(asyncio.create_task(batcher.submit(Job((value,) * 2))))
            await asyncio.sleep(0)
            assert len(workload.assembled) == n_assembled
        workload.gate.set()
        await asyncio.gather(running, *waiting)
    assert [len(jobs) for jobs, _ in workload.assembled] == [1, 2, 1]
    assert workload.assembled[1][1] == here


async def test_a_full_batch_is_put_together_while_another_runs(executor: ThreadPoolExecutor) -> None:
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


class Unlike(Doubling):
    """Holds the batches that begin with certain values, each until its own gate is set."""

    def __init__(self, *held: int) -> None:
        super().__init__()
        self.gate.set()
        self.gates = {value: threading.Event() for value in held}
        self.held = {value: threading.Event() for value in held}

    def run(self, jobs: Sequence[Job]) -> list[list[int]]:
        if (value := jobs[0].values[0]) in self.gates:
            self.held[value].set()
            assert self.gates[value].wait(WAIT_S)
        return super().run(jobs)

    async def wait_for(self, value: int) -> None:
        assert await asyncio.to_thread(self.held[value].wait, WAIT_S)


async def test_each_full_batch_is_put_together_by_the_loop(executor: ThreadPoolExecutor) -> None:
    class WatchedUnlike(Watched, Unlike):
        def __init__(self) -> None:
            Unlike.__init__(self, 1, 2)
            self.assembled = []

    workload, here = WatchedUnlike(), threading.get_ident()
    async with RowBatcher(workload, executor=executor, limits=LIMITS) as batcher:
        tasks = [asyncio.create_task(batcher.submit(Job((1,) * 4)))]
        for value in (2, 3):
            await asyncio.sleep(0)
            await workload.wait_for(value - 1)
            tasks.append(asyncio.create_task(batcher.submit(Job((value,) * 4))))
            await asyncio.sleep(0)
            assert workload.assembled[value - 1 :] == [([Job((value,) * 4)], here)]
            workload.gates[value - 1].set()
        assert await asyncio.gather(*tasks) == [[2] * 4, [4] * 4, [6] * 4]


async def test_jobs_that_failed_together_do_not_wait_for_company_again(executor: ThreadPoolExecutor) -> None:
    workload, limits = Unlike(1, 2), replace(LIMITS, concurrency=2)
    async with RowBatcher(workload, executor=executor, limits=limits) as batcher:
        held = asyncio.create_task(batcher.submit(Job((1,) * 4)))
        brief = asyncio.create_task(batcher.submit(Job((2,) * 4)))
        await asyncio.sleep(0)
        await workload.wait_for(2)
        later = [asyncio.create_task(batcher.submit(Job((value,)))) for value in (3, POISON)]
        await asyncio.sleep(0)
        workload.gates[2].set()
        outcomes = await asyncio.wait_for(asyncio.gather(brief, *later, return_exceptions=True), WAIT_S)
        assert not held.done()
        workload.gates[1].set()
        await held
    assert outcomes[:2] == [[4] * 4, [6]]
    assert isinstance(outcomes[2], PoisonError)


async def test_jobs_that_failed_together_go_before_those_that_came_later(executor: ThreadPoolExecutor) -> None:
    workload = Unlike(1, 3)
    async with RowBatcher(workload, executor=executor, limits=LIMITS) as batcher:
        values = ((1,), (POISON,), (2,) * 3, (3,) * 4, (4,) * 4)
        tasks = [asyncio.create_task(batcher.submit(Job(each))) for each in values]
        await asyncio.sleep(0)
        workload.gates[1].set()
        await workload.wait_for(3)
        for _ in range(20_000):  # until those that failed wait again
            if batcher.waiting_rows == 8:
                break
            await asyncio.sleep(0.001)
        workload.gates[3].set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes.pop(1), PoisonError)
    assert outcomes == [[2], [4] * 3, [6] * 4, [8] * 4]
    order = [[job.values[0] for job in batch] for batch in workload.batches]
    assert order == [[1], [POISON, 2], [3], [POISON], [2], [4]]


async def test_a_deadline_that_passes_during_the_run_does_the_neighbours_no_harm(executor: ThreadPoolExecutor) -> None:
    workload = Unlike(1, 2)
    async with RowBatcher(workload, executor=executor, limits=LIMITS) as batcher:
        first = asyncio.create_task(batcher.submit(Job((1,))))
        hasty = asyncio.create_task(batcher.submit(Job((2,)), deadline=time.monotonic() + 0.5))
        neighbour = asyncio.create_task(batcher.submit(Job((3,))))
        await asyncio.sleep(0)
        workload.gates[1].set()
        await workload.wait_for(2)
        with pytest.raises(DeadlineError):
            await hasty
        workload.gates[2].set()
        assert await asyncio.wait_for(asyncio.gather(first, neighbour), WAIT_S) == [[2], [6]]
    assert [len(batch) for batch in workload.batches] == [1, 2]
