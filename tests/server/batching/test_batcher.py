"""The row batcher under random arrivals, cancellations, failures and sizes, and its limits one by one."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.server.batching.batcher import BatchLimits, RowBatcher
from audotics.server.errors import DeadlineError, OverloadedError
from audotics.server.types import Caller, Priority
from tests.server.batching.doubling import POISON, WAIT_S, Doubling, Job, PoisonError, limits


@dataclass(frozen=True)
class Arrival:
    job: Job
    pause: int
    """Turns of the event loop before the job is submitted."""
    patience: int | None
    """Turns after which its caller leaves; None for a caller who stays."""
    deadline_s: float | None
    priority: Priority
    tenant: str


def arrivals() -> st.SearchStrategy[list[Arrival]]:
    values = st.lists(st.one_of(st.integers(0, 1000), st.just(POISON)), min_size=1, max_size=12).map(tuple)
    arrival = st.builds(
        Arrival,
        job=st.builds(Job, values, st.sampled_from("ab")),
        pause=st.integers(0, 5),
        patience=st.none() | st.integers(0, 5),
        deadline_s=st.none() | st.sampled_from([-1.0, 0.0, 0.0002, 0.002, 60.0]),
        priority=st.sampled_from(Priority),
        tenant=st.sampled_from(["", "x", "y"]),
    )
    return st.lists(arrival, max_size=25)


@given(arrivals(), st.integers(1, 16), st.integers(1, 3), st.sampled_from([0.0, 0.0005]), st.sampled_from([8, 10_000]))
@settings(max_examples=100, deadline=None)
def test_every_caller_gets_exactly_its_own_rows(
    arrivals: list[Arrival], batch_rows: int, concurrency: int, window_s: float, queue_rows: int
) -> None:
    workload = Doubling()
    workload.gate.set()
    limits = BatchLimits(batch_rows=batch_rows, queue_rows=queue_rows, concurrency=concurrency, window_s=window_s)

    async def call(batcher: RowBatcher[Job, list[int]], arrival: Arrival) -> list[int]:
        for _ in range(arrival.pause):
            await asyncio.sleep(0)
        deadline = None if arrival.deadline_s is None else time.monotonic() + arrival.deadline_s
        return await batcher.submit(arrival.job, deadline=deadline, caller=Caller(arrival.tenant, arrival.priority))

    async def leave(task: asyncio.Task[list[int]], patience: int) -> None:
        for _ in range(patience):
            await asyncio.sleep(0)
        task.cancel()

    async def scenario(executor: ThreadPoolExecutor) -> list[list[int] | BaseException]:
        async with RowBatcher(workload, executor=executor, limits=limits) as batcher, asyncio.TaskGroup() as leaving:
            tasks = [asyncio.create_task(call(batcher, arrival)) for arrival in arrivals]
            for task, arrival in zip(tasks, arrivals, strict=True):
                if arrival.patience is not None:
                    leaving.create_task(leave(task, arrival.patience))
            return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), WAIT_S)

    with ThreadPoolExecutor(3) as executor:
        outcomes = asyncio.run(scenario(executor))
    for arrival, outcome in zip(arrivals, outcomes, strict=True):
        if isinstance(outcome, asyncio.CancelledError):
            assert arrival.patience is not None
        elif isinstance(outcome, DeadlineError):
            assert arrival.deadline_s is not None
            assert arrival.deadline_s < 60
        elif isinstance(outcome, OverloadedError):
            assert queue_rows == 8
            assert outcome.retry_after_s > 0
        elif POISON in arrival.job.values:
            assert isinstance(outcome, PoisonError)
        else:
            assert outcome == [2 * value for value in arrival.job.values]
    for batch in workload.batches:
        assert len({job.group for job in batch}) == 1
        assert sum(len(job.values) for job in batch) <= batch_rows


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0.0005, 0.002])), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_nobody_waits_past_the_deadline_whatever_runs(jobs: list[tuple[int, float]]) -> None:
    """Nothing ends before all of them have their answer: the batch that runs is held until then."""
    workload = Doubling()

    async def scenario(executor: ThreadPoolExecutor) -> list[list[int] | BaseException]:
        async with RowBatcher(workload, executor=executor, limits=limits(queue_rows=1000)) as batcher:
            held = asyncio.create_task(batcher.submit(Job((1,))))
            await workload.wait_for_start()
            calls = [batcher.submit(Job((7,) * rows), deadline=time.monotonic() + s) for rows, s in jobs]
            outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), WAIT_S)
            assert not held.done()
            workload.gate.set()
            assert await held == [2]
            return outcomes

    with ThreadPoolExecutor(1) as executor:
        outcomes = asyncio.run(scenario(executor))
    assert all(isinstance(outcome, DeadlineError) for outcome in outcomes)
    assert workload.batches == [[Job((1,))]]


async def test_a_lone_job_does_not_wait_for_the_window(executor, workload):
    workload.gate.set()
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        assert await asyncio.wait_for(batcher.submit(Job((1, 2))), WAIT_S) == [2, 4]


async def test_jobs_that_arrive_during_a_batch_run_together_after_it(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        first = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        later = [asyncio.create_task(batcher.submit(Job((value,)))) for value in (2, 3, 4)]
        await asyncio.sleep(0)
        workload.gate.set()
        assert await asyncio.gather(first, *later) == [[2], [4], [6], [8]]
    assert [len(batch) for batch in workload.batches] == [1, 3]


async def test_the_window_lets_gathered_jobs_run_beside_a_long_batch(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits(concurrency=3, window_s=0.001)) as batcher:
        tasks = []
        for value in (1, 2, 3):  # there is a window for each
            tasks.append(asyncio.create_task(batcher.submit(Job((value,)))))
            await workload.wait_for_start()  # although those before still run
        assert not any(task.done() for task in tasks)
        workload.gate.set()
        assert await asyncio.gather(*tasks) == [[2], [4], [6]]


async def test_a_thread_that_has_run_a_batch_takes_the_next_one_itself(workload):
    class Counting(ThreadPoolExecutor):
        submitted = 0

        def submit(self, *arguments, **options):
            self.submitted += 1
            return super().submit(*arguments, **options)

    with Counting(2) as executor:
        async with RowBatcher(workload, executor=executor, limits=limits(queue_rows=100)) as batcher:
            tasks = [asyncio.create_task(batcher.submit(Job((value,) * 4))) for value in range(5)]
            await workload.wait_for_start()
            workload.gate.set()
            await asyncio.gather(*tasks)
        assert (executor.submitted, len(workload.batches)) == (1, 5)


async def test_a_full_batch_does_not_wait_for_the_window(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits(concurrency=2, queue_rows=100)) as batcher:
        tasks = [asyncio.create_task(batcher.submit(Job((1,)))) for _ in range(3)]
        await workload.wait_for_start()
        assert workload.started.acquire(blocking=False) is False  # in a burst, two rows wait for company
        tasks.append(asyncio.create_task(batcher.submit(Job((2, 3)))))
        await workload.wait_for_start()
        workload.gate.set()
        await asyncio.gather(*tasks)
    assert [len(batch) for batch in workload.batches] == [1, 3]


async def test_an_oversized_job_is_cut_and_joined_in_order(executor, workload):
    workload.gate.set()
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        assert await batcher.submit(Job(tuple(range(21)))) == [2 * value for value in range(21)]
    assert max(len(job.values) for batch in workload.batches for job in batch) == 4


async def test_a_job_that_cannot_be_cut_runs_by_itself(executor, workload):
    workload.split = lambda job, _: [job]
    async with RowBatcher(workload, executor=executor, limits=limits(queue_rows=100)) as batcher:
        values = [(1,), (2,), (3,) * 9, (4,)]
        tasks = [asyncio.create_task(batcher.submit(Job(each))) for each in values]
        await workload.wait_for_start()
        workload.gate.set()
        assert await asyncio.wait_for(asyncio.gather(*tasks), WAIT_S) == [[2], [4], [6] * 9, [8]]
    assert [job.values for job in workload.batches[2]] == [(3,) * 9]


async def test_an_oversized_job_with_a_bad_piece_fails_as_a_whole(executor, workload):
    workload.gate.set()
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        with pytest.raises(PoisonError):
            await batcher.submit(Job((*range(10), POISON, *range(10))))
        assert await batcher.submit(Job((5,))) == [10]


async def test_a_caller_who_leaves_frees_the_queue_and_its_job_never_runs(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        leaving = asyncio.create_task(batcher.submit(Job((7,) * 4)))
        neighbour = asyncio.create_task(batcher.submit(Job((8,) * 4)))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        replacement = asyncio.create_task(batcher.submit(Job((9,) * 4)))
        await asyncio.sleep(0)
        workload.gate.set()
        assert await asyncio.gather(running, neighbour, replacement) == [[2], [16] * 4, [18] * 4]
    assert 7 not in {value for batch in workload.batches for job in batch for value in job.values}


async def test_what_nobody_waits_for_is_not_run_however_late_the_thread_comes(workload):
    workload.gate.set()
    with ThreadPoolExecutor(1) as executor:
        busy = threading.Event()
        executor.submit(busy.wait, WAIT_S)
        async with RowBatcher(workload, executor=executor, limits=limits(concurrency=2)) as batcher:
            leaving = asyncio.create_task(batcher.submit(Job((7,))))
            await asyncio.sleep(0)
            assert batcher.waiting_rows == 0  # it is on its way to the thread
            leaving.cancel()
            await asyncio.wait([leaving])
            with pytest.raises(DeadlineError):
                await batcher.submit(Job((8,)), deadline=time.monotonic() + 0.001)
            busy.set()
            assert await batcher.submit(Job((9,))) == [18]
    assert workload.batches == [[Job((9,))]]
    assert batcher.counts.rows.count == 1


async def test_a_job_is_not_kept_until_its_deadline(executor, workload):
    workload.gate.set()
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        job = Job((1, 2))
        kept = weakref.ref(job)
        assert await batcher.submit(job, deadline=time.monotonic() + 3600) == [2, 4]
        await batcher.submit(Job((3,)))  # the thread lets go of one with the next
        workload.batches.clear()
        del job
        gc.collect()
        assert kept() is None


async def test_a_job_that_was_put_together_in_vain_is_not_kept(executor, workload):
    workload.gate.set()
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        await batcher.submit(Job((1,)))  # from then on it is known how long that takes
        await workload.wait_for_start()
        workload.gate.clear()
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        job = Job((2,) * 4)
        kept = weakref.ref(job)
        leaving = asyncio.create_task(batcher.submit(job))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        workload.gate.set()
        await running
        await batcher.__aexit__(None, None, None)  # nothing runs any more
        del job, leaving
        gc.collect()
        assert kept() is None


async def test_a_deadline_is_answered_while_the_batch_before_still_runs(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        with pytest.raises(DeadlineError):
            await asyncio.wait_for(batcher.submit(Job((7,)), deadline=time.monotonic() + 0.01), WAIT_S)
        assert not running.done()
        workload.gate.set()
        assert await running == [2]
    assert workload.batches == [[Job((1,))]]


async def test_a_passed_deadline_never_runs(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        with pytest.raises(DeadlineError):
            await batcher.submit(Job((7,)), deadline=time.monotonic() - 1)
    assert workload.batches == []


async def test_leaving_waits_for_jobs_under_way_and_takes_no_more(executor, workload):
    batcher = RowBatcher(workload, executor=executor, limits=limits())
    async with batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        waiting = asyncio.create_task(batcher.submit(Job((2,))))
        await asyncio.sleep(0)
        workload.gate.set()
    assert running.done()
    assert waiting.done()
    assert await waiting == [4]
    with pytest.raises(RuntimeError, match="async with"):
        await batcher.submit(Job((3,)))


async def test_leaving_ends_the_threads_that_it_began(executor, workload):
    before = set(threading.enumerate())
    batcher = RowBatcher(workload, executor=executor, limits=limits())
    async with batcher:
        (messenger,) = set(threading.enumerate()) - before
    await asyncio.to_thread(messenger.join, WAIT_S)
    assert not messenger.is_alive()


async def test_a_workload_that_returns_too_few_results_fails_its_callers(executor):
    class Forgetful(Doubling):
        def run(self, jobs: Sequence[Job]) -> list[list[int]]:
            return []

    async with RowBatcher(Forgetful(), executor=executor, limits=limits()) as batcher:
        with pytest.raises(ValueError, match="zip"):
            await batcher.submit(Job((1,)))


async def test_an_executor_that_is_shut_down_fails_the_job(workload):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        with pytest.raises(RuntimeError):
            await batcher.submit(Job((1,)))


@pytest.mark.parametrize(
    "wrong", [{"batch_rows": 0}, {"queue_rows": 0}, {"concurrency": 0}, {"window_s": -1.0}, {"window_s": math.nan}]
)
def test_impossible_limits_are_refused(wrong):
    with pytest.raises(ValueError, match="at least"):
        limits(**wrong)
