"""Freed memory goes back to the system, that of other threads than the main one too."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, os, threading
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


with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(3) as three:
    executors = {one: 1, three: 3}
    could, model, together = one.submit(give_back_freed).result(), Model(), threading.Barrier(4)
    FreedMemory(executors).after(model)
    filling = [executor.submit(fill, together) for executor, threads in executors.items() for _ in range(threads)]
    filled = max(future.result() for future in filling)
    settle()
    held = resident_mib()
    del model
    settle()
    print(could, filled - held, filled - resident_mib())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and knows glibc")
def test_what_a_model_leaves_is_given_back_when_it_is_gone() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    could, while_held, after = ran.stdout.split()
    if could == "False":
        pytest.skip("the allocator is not glibc's")
    assert float(while_held) < 40  # of the 160 MiB that four threads took; else there is nothing to give back
    assert float(after) > 100
