"""The interface of what searches fixed vectors: queries go in, the best rows and their scores come out.

On the CPU it is `audotics.bundle.indexes.stored.StoredIndex` itself. `tests/contracts/test_retrieval.py` says what each
has to hold.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.selection import RowSelection


class Backend(Protocol):
    """Searches rows 0 .. size-1, which never change. Safe to call from several threads at once."""

    @property
    def size(self) -> int: ...

    def search(
        self, queries: NDArray[np.float32], k: int, *, selection: RowSelection | None = None, effort: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores float32 and rows int64 (q, k') for `queries` float32 (q, d), best first, k' at most k.

        Only rows of the `selection` are found; a backend that cannot leave rows out while it searches may find fewer
        than there are. `effort` above 1 asks an approximate one to look at more. The end is filled with -inf and
        PADDING.
        """
        ...

    def close(self) -> None:
        """Give back what is held on a device. No search may be under way, and none may follow."""


class DeviceError(Exception):
    """A device is missing, failed or has too little memory. The message says which, for the log."""
