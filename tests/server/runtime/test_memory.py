"""Freed memory goes back to the system, that of other threads than the main one too."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from audotics.server.runtime.memory import FreedMemory

SCRIPT = """
import asyncio, ctypes, os, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from audotics.server.runtime.memory import FreedMemory, arrange_memory

BLOCK, COUNT, THREADS = 1 << 20, 40, 4
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def fill(together):
    blocks = [libc.malloc(BLOCK) for _ in range(COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    together.wait()
    filled.append(resident_mib())
    together.wait()
    for block in reversed(blocks):
        libc.free(block)


async def give_back():
    with ThreadPoolExecutor(1) as executor:
        FreedMemory(executor).after(threading.Event())  # which nobody keeps
        await asyncio.sleep(0)


could, filled, together = arrange_memory(), [], threading.Barrier(THREADS)
libc.mallopt(-1, 1 << 29)  # M_TRIM_THRESHOLD: else all goes back at once
threads = [threading.Thread(target=fill, args=(together,)) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
kept = resident_mib()
asyncio.run(give_back())
print(could, max(filled) - kept, max(filled) - resident_mib())
"""


LARGE_SCRIPT = """
import ctypes, os
from pathlib import Path

from audotics.server.runtime.memory import arrange_memory

LARGE, COUNT = 5 << 20, 20
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


could = arrange_memory()
for _ in range(2):  # by the second time glibc would have learnt to keep them
    blocks = []
    for _ in range(COUNT):
        blocks.append(libc.malloc(LARGE))
        ctypes.memset(blocks[-1], 1, LARGE)
        libc.malloc(1024)  # which stays
    filled = resident_mib()
    for block in blocks:
        libc.free(block)
print(could, filled - resident_mib())
"""


def given_back(**environment: str) -> tuple[bool, float, float]:
    """Whether the allocator took it; MiB of 160 that four threads gave back by freeing, and after being asked to."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", SCRIPT]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=variables | environment)
    could, by_freeing, after = ran.stdout.split()
    return could == "True", float(by_freeing), float(after)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and knows glibc")
def test_what_threads_freed_is_given_back() -> None:
    could, by_freeing, after = given_back()
    if not could:
        pytest.skip("the allocator is not glibc's")
    assert by_freeing < 40  # else there is nothing to give back
    assert after > 140


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and knows glibc")
def test_large_arrays_leave_no_holes_among_small_objects() -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", LARGE_SCRIPT]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=variables)
    could, by_freeing = ran.stdout.split()
    if could != "True":
        pytest.skip("the allocator is not glibc's")
    assert float(by_freeing) > 95


def test_operators_choose_the_arenas_by_the_environment() -> None:
    assert not given_back(MALLOC_ARENA_MAX="8")[0]


class Owner:
    """What ends."""


class Held(ThreadPoolExecutor):
    """Says of each job that it gets whether somebody was within it."""

    def __init__(self) -> None:
        super().__init__(1)
        self.within = False
        self.found: list[bool] = []
        self.asked = asyncio.Event()

    def submit(self, job: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        self.found.append(self.within)
        self.asked.set()
        return super().submit(job, *arguments, **options)


async def test_an_owner_may_end_within_the_executor() -> None:
    """The garbage collector runs anywhere, and whoever holds an executor's lock must not be made to take it again."""
    with Held() as executor:
        owner = Owner()
        FreedMemory(executor).after(owner)
        executor.within = True
        del owner
        executor.within = False
        await asyncio.wait_for(executor.asked.wait(), 30)
    assert executor.found == [False]


async def test_owners_that_end_together_are_one_occasion() -> None:
    with Held() as executor:
        freed, owners = FreedMemory(executor), [Owner() for _ in range(5)]
        for owner in owners:
            freed.after(owner)
        del owner
        owners.clear()
        await asyncio.wait_for(executor.asked.wait(), 30)
    assert 1 <= len(executor.found) < 5


async def test_each_occasion_is_taken_however_soon_the_one_before_was_over() -> None:
    class Prompt(Held):
        """Is done with a job before it says that it has got it."""

        def submit(self, job: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
            future = super().submit(job, *arguments, **options)
            wait([future])
            return future

    with Prompt() as executor:
        freed = FreedMemory(executor)
        for occasion in range(1, 4):
            owner = Owner()
            freed.after(owner)
            executor.asked.clear()
            del owner
            await asyncio.wait_for(executor.asked.wait(), 30)
            assert len(executor.found) == occasion


async def test_an_owner_may_outlive_the_executor(caplog: pytest.LogCaptureFixture) -> None:
    owner = Owner()
    with ThreadPoolExecutor(1) as executor:
        FreedMemory(executor).after(owner)
    del owner
    await asyncio.sleep(0)
    assert caplog.records == []  # the loop would log an error


def test_an_owner_may_outlive_the_loop() -> None:
    async def make() -> Owner:
        owner = Owner()
        FreedMemory(executor).after(owner)
        return owner

    with ThreadPoolExecutor(1) as executor:
        owner = asyncio.run(make())
        del owner
