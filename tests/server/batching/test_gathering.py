"""Brief jobs on the event loop, under random arrivals, cancellations, failures and deadlines, and one by one."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.server.batching.counts import BatchCounts
from audotics.server.batching.gathering import Gathering
from audotics.server.errors import DeadlineError
from audotics.server.types import ANYBODY
from tests.server.batching.doubling import POISON, WAIT_S, Doubling, Job, PoisonError

MOST = 4


@dataclass(frozen=True)
class Arrival:
    job: Job
    pause: int
    """Turns of the event loop before the job is submitted."""
    patience: int | None
    """Turns after which its caller leaves; None for a caller who stays."""
    deadline_s: float | None


ARRIVALS = st.lists(
    st.builds(
        Arrival,
        job=st.builds(
            Job,
            st.lists(st.one_of(st.integers(0, 1000), st.just(POISON)), min_size=1, max_size=4).map(tuple),
            st.sampled_from("ab"),
        ),
        pause=st.integers(0, 60),
        patience=st.none() | st.integers(0, 5),
        deadline_s=st.none() | st.sampled_from([-1.0, 0.0, 0.0002, 60.0]),
    ),
    max_size=60,
)


@pytest.fixture
def workload() -> Doubling:
    workload = Doubling()
    workload.gate.set()
    return workload


def gathering(workload: Doubling, counts: BatchCounts | None = None) -> Gathering[Job, list[int]]:
    return Gathering(workload, most=MOST, counts=counts or BatchCounts())


async def make_busy(jobs: Gathering[Job, list[int]]) -> None:
    """Have several callers ask again and again."""

    async def call() -> None:
        for _ in range(20):
            await jobs.submit(Job((1,)), deadline=None, caller=ANYBODY)

    await asyncio.gather(*(call() for _ in range(MOST)))


@given(ARRIVALS)
@settings(max_examples=100, deadline=None)
def test_every_caller_gets_exactly_its_own_rows(arrivals: list[Arrival]) -> None:
    workload = Doubling()
    workload.gate.set()

    async def call(jobs: Gathering[Job, list[int]], arrival: Arrival) -> list[int]:
        for _ in range(arrival.pause):
            await asyncio.sleep(0)
        deadline = None if arrival.deadline_s is None else time.monotonic() + arrival.deadline_s
        return await jobs.submit(arrival.job, deadline=deadline, caller=ANYBODY)

    async def leave(task: asyncio.Task[list[int]], patience: int) -> None:
        for _ in range(patience):
            await asyncio.sleep(0)
        task.cancel()

    async def scenario() -> list[list[int] | BaseException]:
        jobs = gathering(workload)
        await make_busy(jobs)
        workload.batches.clear()
        async with asyncio.TaskGroup() as leaving:
            tasks = [asyncio.create_task(call(jobs, arrival)) for arrival in arrivals]
            for task, arrival in zip(tasks, arrivals, strict=True):
                if arrival.patience is not None:
                    leaving.create_task(leave(task, arrival.patience))
            return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), WAIT_S)

    for arrival, outcome in zip(arrivals, asyncio.run(scenario()), strict=True):
        if isinstance(outcome, asyncio.CancelledError):
            assert arrival.patience is not None
        elif isinstance(outcome, DeadlineError):
            assert arrival.deadline_s is not None
            assert arrival.deadline_s < 60
        elif POISON in arrival.job.values:
            assert isinstance(outcome, PoisonError)
        else:
            assert outcome == [2 * value for value in arrival.job.values]
    for batch in workload.batches:
        assert len({job.group for job in batch}) == 1
        assert len(batch) <= MOST


async def test_jobs_that_come_together_run_together(workload: Doubling) -> None:
    jobs = gathering(workload)
    await make_busy(jobs)
    assert len(workload.batches[0]) == 1
    assert sum(len(batch) == MOST for batch in workload.batches) > 10


async def test_a_lone_job_runs_before_the_loop_turns(workload: Doubling) -> None:
    turned = False

    def turn() -> None:
        nonlocal turned
        turned = True

    asyncio.get_running_loop().call_soon(turn)
    assert await gathering(workload).submit(Job((1, 2)), deadline=None, caller=ANYBODY) == [2, 4]
    assert not turned


async def test_who_waits_in_vain_is_answered_soon(workload: Doubling) -> None:
    jobs = gathering(workload)
    await make_busy(jobs)
    answer = jobs.submit(Job((3,)), deadline=None, caller=ANYBODY)
    assert await asyncio.wait_for(answer, WAIT_S) == [6]


async def test_a_passed_deadline_is_told_and_counted(workload: Doubling) -> None:
    counts = BatchCounts()
    jobs = gathering(workload, counts)
    with pytest.raises(DeadlineError):
        await jobs.submit(Job((3,)), deadline=time.monotonic() - 1, caller=ANYBODY)
    await make_busy(jobs)
    ran = len(workload.batches)
    with pytest.raises(DeadlineError):
        await jobs.submit(Job((3,)), deadline=time.monotonic(), caller=ANYBODY)
    assert len(workload.batches) == ran
    assert counts.expired == 2


async def test_runs_are_counted(workload: Doubling) -> None:
    counts = BatchCounts()
    jobs = gathering(workload, counts)
    await jobs.submit(Job((1, 2, 3)), deadline=None, caller=ANYBODY)
    assert (counts.alone, counts.jobs) == (1, 0)
    await make_busy(jobs)
    assert counts.alone + counts.jobs == 1 + 20 * MOST
    assert counts.rows.total == counts.jobs  # who ran alone ran past what counts batches
    assert counts.busy_s > 0
