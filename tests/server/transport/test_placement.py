"""Threads of calls share a processor while one is enough for them, and only they do."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import grpc
import pytest

from audotics.server.transport.placement import CallPlacement, Togetherness

TASKS = Path("/proc/self/task")
WAIT_S = 60.0

on_two_processors = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity")
    or len(os.sched_getaffinity(0)) < 2
    or not (TASKS / str(threading.get_native_id()) / "schedstat").exists(),
    reason="the system gives this process one processor, or says nothing of its threads",
)


def looked(togetherness: Togetherness, *looks: tuple[float, float], start: float = 0.0) -> list[bool]:
    """What follows from looks at (busy, waiting), one a second."""
    return [
        togetherness.look(busy=busy, waiting=waiting, now=start + second)
        for second, (busy, waiting) in enumerate(looks)
    ]


def test_idle_threads_come_together_at_once() -> None:
    assert looked(Togetherness(), (0.0, 0.0)) == [True]


def test_busy_threads_part_and_do_not_come_together_for_the_same_load() -> None:
    # Apart, the same calls take more time.
    assert looked(Togetherness(), (0.5, 0.0), (0.95, 0.1), (1.1, 0.0), (1.1, 0.0), (0.86, 0.0)) == [
        True,
        *(False,) * 4,
    ]


def test_threads_part_where_the_event_loop_has_to_wait() -> None:
    assert looked(Togetherness(), (0.3, 0.0), (0.3, 0.26)) == [True, False]
    assert looked(Togetherness(), (0.3, 0.0), (0.9, 0.25)) == [True, True]


def test_threads_that_part_at_once_try_again_later_and_later() -> None:
    togetherness = Togetherness()
    held_up = [togetherness.look(busy=0.1, waiting=0.5, now=float(second)) for second in range(400)]
    together = [second for second, value in enumerate(held_up) if value]
    pauses = [later - earlier for earlier, later in pairwise(together)]
    assert pauses[:8] == [3, 5, 9, 17, 33, 65, 65, 65]


def test_threads_that_were_together_for_long_try_again_soon() -> None:
    togetherness = Togetherness()
    assert looked(togetherness, (0.1, 0.0), (0.1, 0.5), (0.1, 0.0), (0.1, 0.0)) == [True, False, False, True]
    # Together from second 3 on. Had they parted at once, they would now have to wait for 4 seconds.
    assert looked(togetherness, (0.1, 0.5), (0.1, 0.0), start=100.0) == [False, True]


@on_two_processors
async def test_the_threads_of_calls_share_a_processor_and_part_when_they_are_busy() -> None:
    before = os.sched_getaffinity(0)
    async with calls(), CallPlacement(look_s=0.01) as placement:
        processor = await together(placement)
        assert os.sched_getaffinity(threading.get_native_id()) == {processor}
        affinities = [os.sched_getaffinity(thread) for thread in grpc_threads()]
        assert len(affinities) > 1
        assert all(affinity == {processor} for affinity in affinities)
        async with asyncio.timeout(WAIT_S):
            while placement.processor is not None:
                sum(range(100_000))
                await asyncio.sleep(0)
        assert all(os.sched_getaffinity(thread) == before for thread in (threading.get_native_id(), *grpc_threads()))


@on_two_processors
async def test_other_threads_run_anywhere() -> None:
    before, ended = os.sched_getaffinity(0), threading.Event()
    with ThreadPoolExecutor(1) as early, ThreadPoolExecutor(1) as late:
        earlier = early.submit(threading.get_native_id).result()
        async with calls(), CallPlacement(look_s=0.01) as placement:
            processor = await together(placement)
            started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            late.submit(report_and_wait, started, ended)
            try:
                later = await started
                await until(lambda: os.sched_getaffinity(later) != {processor})
                assert os.sched_getaffinity(later) == os.sched_getaffinity(earlier) == before
            finally:
                ended.set()


@on_two_processors
async def test_at_the_end_all_run_anywhere() -> None:
    before = os.sched_getaffinity(0)
    async with calls():
        async with CallPlacement(look_s=0.01) as placement:
            await together(placement)
        assert placement.processor is None
        assert all(os.sched_getaffinity(thread) == before for thread in (threading.get_native_id(), *grpc_threads()))


@on_two_processors
async def test_a_process_with_one_processor_is_left_as_it_is() -> None:
    before = os.sched_getaffinity(0)
    only = {min(before)}
    os.sched_setaffinity(0, only)
    try:
        async with calls(), CallPlacement(look_s=0.001) as placement:
            await asyncio.sleep(0.05)
            assert placement.processor is None
        assert os.sched_getaffinity(0) == only
    finally:
        os.sched_setaffinity(0, before)


def report_and_wait(started: asyncio.Future[int], ended: threading.Event) -> None:
    started.get_loop().call_soon_threadsafe(started.set_result, threading.get_native_id())
    ended.wait(WAIT_S)


@asynccontextmanager
async def calls() -> AsyncIterator[None]:
    """A server that has answered a call of this process."""

    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return request

    handlers = {"Answer": grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary("/test.Service/Answer")(b"x") == b"x"
            yield
    finally:
        await server.stop(None)


async def together(placement: CallPlacement) -> int:
    await until(lambda: placement.processor is not None)
    assert placement.processor is not None
    return placement.processor


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


def grpc_threads() -> Iterator[int]:
    """Those that the system calls by gRPC's names."""
    for folder in TASKS.iterdir():
        if (folder / "comm").read_text().strip() == "event_engine":
            yield int(folder.name)
