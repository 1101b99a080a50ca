"""Lengths of embeddings whose directions alone stand in the index: one file of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

LENGTHS_FILE: Final = "lengths.npy"


def write_lengths(folder: Path, lengths: NDArray[np.float32]) -> None:
    """`lengths` (n,), in the order of the bundle's rows."""
    np.save(folder / LENGTHS_FILE, lengths)


def read_lengths(folder: Path) -> NDArray[np.float32]:
    """float32 (n,). Raises OSError, or ValueError when it is anything else or not finite."""
    lengths: NDArray[np.float32] = np.load(folder / LENGTHS_FILE, allow_pickle=False)
    if lengths.ndim != 1 or lengths.dtype != np.float32 or not np.isfinite(lengths).all():
        raise ValueError(f"{LENGTHS_FILE} is not one finite float32 a row")
    return lengths
