"""The rows that a search may find: a mask goes in, what FAISS needs to leave the others out is made once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.native import faiss


@dataclass(frozen=True, slots=True, eq=False)
class RowSelection:
    """Rows of an index that may be found: `shown` is bool (n,)."""

    shown: NDArray[np.bool_]
    selector: Any

    @classmethod
    def of(cls, shown: NDArray[np.bool_]) -> RowSelection:
        """Select where `shown` is true."""
        return cls(shown, faiss.IDSelectorBitmap(np.packbits(shown, bitorder="little")))
