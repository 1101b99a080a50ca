"""Threads of the linear algebra below NumPy: an environment goes in, and gets the limits that BLAS reads at load."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def limit_blas_threads(environment: MutableMapping[str, str], *, threads: int = 1) -> None:
    """Let a matrix product use `threads` threads, unless the environment says otherwise already.

    Call it with `os.environ` before NumPy is imported. The matrices of a request are small and its executor is the
    thread budget: on two busy cores, OpenBLAS waiting for its own helpers turns 0.05 ms into 8 ms.
    """
    for variable in _VARIABLES:
        environment.setdefault(variable, str(threads))
