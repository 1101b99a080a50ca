"""Who goes first in the row batcher, and who is refused when its queue is full."""

from __future__ import annotations

import asyncio
import time

import pytest

from audotics.server.batching.batcher import RowBatcher
from audotics.server.errors import OverloadedError
from audotics.server.types import Caller, Priority
from tests.server.batching.doubling import WAIT_S, Job, limits


async def order_of(batcher, workload, submissions) -> list[int]:
    """The first values of the batches that run once a first job, held meanwhile, is let go."""
    held = asyncio.create_task(batcher.submit(Job((0,))))
    await workload.wait_for_start()
    tasks = [asyncio.create_task(batcher.submit(Job((value,) * 4), **options)) for value, options in submissions]
    await asyncio.sleep(0)
    workload.gate.set()
    await asyncio.gather(held, *tasks)
    return [batch[0].values[0] for batch in workload.batches[1:]]


async def test_higher_classes_go_first(executor, workload):
    classes = [(1, Priority.LOW), (2, Priority.NORMAL), (3, Priority.HIGH), (4, Priority.HIGH), (5, Priority.NORMAL)]
    async with RowBatcher(workload, executor=executor, limits=limits(queue_rows=100)) as batcher:
        order = await order_of(
            batcher, workload, [(value, {"caller": Caller(priority=each)}) for value, each in classes]
        )
    assert order == [3, 4, 2, 5, 1]


async def test_the_earliest_deadline_goes_first(executor, workload):
    now = time.monotonic()
    deadlines = [(1, None), (2, now + 90), (3, now + 60), (4, None), (5, now + 70)]
    async with RowBatcher(workload, executor=executor, limits=limits(queue_rows=100)) as batcher:
        order = await order_of(batcher, workload, [(value, {"deadline": each}) for value, each in deadlines])
    assert order == [3, 5, 2, 1, 4]


async def test_tenants_take_turns_however_much_one_sends(executor, workload):
    submissions = [(value, {"caller": Caller("loud")}) for value in range(1, 7)] + [
        (8, {"caller": Caller("quiet")}),
        (9, {}),
    ]
    async with RowBatcher(workload, executor=executor, limits=limits(queue_rows=100)) as batcher:
        order = await order_of(batcher, workload, submissions)
    assert order[:3] == [1, 8, 9]
    assert order[3:] == [2, 3, 4, 5, 6]


async def test_a_full_queue_makes_room_for_a_higher_class(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        kept = asyncio.create_task(batcher.submit(Job((2,) * 4), caller=Caller(priority=Priority.LOW)))
        await asyncio.sleep(0)
        displaced = asyncio.create_task(batcher.submit(Job((3,) * 4), caller=Caller(priority=Priority.LOW)))
        await asyncio.sleep(0)
        urgent = asyncio.create_task(batcher.submit(Job((4,) * 4), caller=Caller(priority=Priority.HIGH)))
        with pytest.raises(OverloadedError) as refusal:
            await asyncio.wait_for(displaced, WAIT_S)
        assert refusal.value.retry_after_s > 0
        workload.gate.set()
        assert await asyncio.gather(running, kept, urgent) == [[2], [4] * 4, [8] * 4]


async def test_a_job_that_displaces_several_answers_them_all(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        low = [asyncio.create_task(batcher.submit(Job((2,) * 4), caller=Caller(priority=Priority.LOW))) for _ in "ab"]
        await asyncio.sleep(0)
        urgent = asyncio.create_task(batcher.submit(Job((4,) * 8), caller=Caller(priority=Priority.HIGH)))
        outcomes = await asyncio.wait_for(asyncio.gather(*low, return_exceptions=True), WAIT_S)
        assert [type(outcome) for outcome in outcomes] == [OverloadedError] * 2
        workload.gate.set()
        assert await asyncio.gather(running, urgent) == [[2], [8] * 8]
    assert batcher.counts.refused == 2


async def test_a_full_queue_makes_room_for_a_tenant_with_less_than_its_share(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        loud = [asyncio.create_task(batcher.submit(Job((value,) * 4), caller=Caller("loud"))) for value in (2, 3)]
        await asyncio.sleep(0)
        quiet = asyncio.create_task(batcher.submit(Job((4,) * 4), caller=Caller("quiet")))
        with pytest.raises(OverloadedError):
            await asyncio.wait_for(loud[1], WAIT_S)
        with pytest.raises(OverloadedError):  # the quiet one has its share now
            await batcher.submit(Job((5,)), caller=Caller("quiet"))
        workload.gate.set()
        assert await asyncio.gather(running, loud[0], quiet) == [[2], [4] * 4, [8] * 4]


async def test_a_full_queue_refuses_and_says_when_to_come_back(executor, workload):
    async with RowBatcher(workload, executor=executor, limits=limits()) as batcher:
        running = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        waiting = asyncio.create_task(batcher.submit(Job((1, 2, 3))))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as refusal:
            await batcher.submit(Job((1, 2, 3, 4, 5, 6)))
        assert refusal.value.retry_after_s > 0
        workload.gate.set()
        assert await running == [2]
        assert await waiting == [2, 4, 6]


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_to_come_back_takes_as_long_as_the_batches_that_wait(executor, workload, concurrency):
    async with RowBatcher(workload, executor=executor, limits=limits(concurrency=concurrency, queue_rows=9)) as batcher:
        first = asyncio.create_task(batcher.submit(Job((1,))))
        await workload.wait_for_start()
        await asyncio.to_thread(time.sleep, 0.02)  # longer than the shortest time that anybody is told
        workload.gate.set()
        await first
        workload.gate.clear()
        running = [asyncio.create_task(batcher.submit(Job((1,) * 4))) for _ in range(concurrency)]
        for _ in running:
            await workload.wait_for_start()
        waiting = asyncio.create_task(batcher.submit(Job((2,) * 9)))  # in pieces of four, four and one
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as refusal:
            await batcher.submit(Job((3,)))
        assert refusal.value.retry_after_s == pytest.approx(3 * batcher.counts.busy_s / concurrency)
        workload.gate.set()
        await asyncio.gather(*running, waiting)
