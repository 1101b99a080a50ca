"""Freed memory goes back to the system, that of other threads than the main one too."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from audotics.server.runtime.memory import give_back_after, give_back_freed

BLOCK, COUNT = 1 << 20, 40
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]


class Model:
    pass


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def fill_and_free():
    blocks = [libc.malloc(BLOCK) for _ in range(COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    filled = resident_mib()
    for block in reversed(blocks):
        libc.free(block)
    return filled


with ThreadPoolExecutor(1) as executor:
    give_back = executor.submit(give_back_freed).result()
    filled = executor.submit(fill_and_free).result()
    kept, model = resident_mib(), Model()
    give_back_after(model, executor)
    executor.submit(int).result()
    held = resident_mib()
    del model
    executor.submit(int).result()
    print(give_back, filled - kept, filled - held, filled - resident_mib())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and knows glibc")
def test_what_a_model_leaves_is_given_back_when_it_is_gone() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    could, at_once, while_held, after = ran.stdout.split()
    if could == "False":
        pytest.skip("the allocator is not glibc's")
    assert float(at_once) < 10  # otherwise there is nothing to give back
    assert float(while_held) < 10
    assert float(after) > 30
