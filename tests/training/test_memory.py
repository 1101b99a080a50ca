"""What a process has freed stays with it once it was told so."""

from __future__ import annotations

import subprocess
import sys

import pytest

MEASURED = """
import resource, sys
import numpy as np
from audotics.training.memory import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("not glibc")
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        blocks = [np.ones(2**20, np.float64) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def faults(how: str) -> int:
    """Pages that the system handed out while blocks of 8 MiB were taken and freed 50 times over."""
    told = subprocess.run([sys.executable, "-c", MEASURED, how], capture_output=True, text=True, check=False)
    if told.stderr.strip() == "not glibc":
        pytest.skip("the allocator here is not glibc's")
    assert not told.returncode, told.stderr
    return int(told.stdout)


def test_blocks_are_taken_from_memory_that_stayed() -> None:
    assert 10 * faults("kept") < faults("as it was")
