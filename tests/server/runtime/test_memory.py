"""Freed memory goes back to the system, that of other threads than the main one too."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from audotics.server.runtime.memory import FreedMemory

SCRIPT = """
import asyncio, ctypes, os, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from audotics.server.runtime.memory import FreedMemory, give_back_freed

BLOCK, COUNT = 1 << 20, 40
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]


class Model:
    pass


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def fill(together):
    together.wait()  # so that each thread does it once
    blocks = [libc.malloc(BLOCK) for _ in range(COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    together.wait()
    filled = resident_mib()
    together.wait()
    for block in reversed(blocks):
        libc.free(block)
    return filled


def settle():
    # Have whatever was submitted before done.
    for executor, threads in executors.items():
        together = threading.Barrier(threads)
        for future in [executor.submit(together.wait) for _ in range(threads)]:
            future.result()


async def main():
    could, model, together = one.submit(give_back_freed).result(), Model(), threading.Barrier(4)
    FreedMemory(executors).after(model)
    filling = [executor.submit(fill, together) for executor, threads in executors.items() for _ in range(threads)]
    filled = max(future.result() for future in filling)
    await asyncio.sleep(0)
    settle()
    held = resident_mib()
    del model
    await asyncio.sleep(0)
    settle()
    print(could, filled - held, filled - resident_mib())


with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(3) as three:
    executors = {one: 1, three: 3}
    asyncio.run(main())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and knows glibc")
def test_what_a_model_leaves_is_given_back_when_it_is_gone() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    could, while_held, after = ran.stdout.split()
    if could == "False":
        pytest.skip("the allocator is not glibc's")
    assert float(while_held) < 40  # of the 160 MiB that four threads took; else there is nothing to give back
    assert float(after) > 100


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
        FreedMemory({executor: 1}).after(owner)
        executor.within = True
        del owner
        executor.within = False
        await asyncio.wait_for(executor.asked.wait(), 30)
    assert executor.found == [False]


async def test_owners_that_end_together_are_one_occasion() -> None:
    with Held() as executor:
        freed, owners = FreedMemory({executor: 1}), [Owner() for _ in range(5)]
        for owner in owners:
            freed.after(owner)
        del owner
        owners.clear()
        await asyncio.wait_for(executor.asked.wait(), 30)
    assert 1 <= len(executor.found) < 5
