"""The index of a bundle: vectors go in, its files (`audotics.bundle.indexes`) and its measured recall come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.exact import exact_search, recall_of
from audotics.bundle.indexes.settings import IndexKind
from audotics.bundle.indexes.stored import INDEX_FILE, VECTORS_FILE
from audotics.exporters.indexing.goal import EXACT_TRACKS, Goal
from audotics.exporters.indexing.tuning import Tuned, tune
from audotics.training.progress import Progress

__all__ = ["INDEX_FILE", "VECTORS_FILE", "recall_at_k", "write_index", "write_tuned"]

GOAL: Final = Goal(k=100, recall=0.95)
"""What every export asks of its index: `audotics index build` can ask for something else."""

_APPROXIMATE: Final = (IndexKind.FLAT, IndexKind.IVF_FLAT, IndexKind.IVF_PQ)


def write_index(
    folder: Path,
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    *,
    progress: Progress,
    title: str,
    exact_tracks: int = EXACT_TRACKS,
) -> dict[str, float]:
    """Write the index over `vectors` (n, d), by inner product, and the vectors themselves.

    Up to `exact_tracks` vectors it compares all of them; beyond, it is the cheapest that reaches GOAL.
    Returns {"recall@100": …}, measured against exact search with `queries` (q, d).
    """
    kinds = (IndexKind.FLAT,) if len(vectors) <= exact_tracks else _APPROXIMATE
    goal = Goal(GOAL.k, GOAL.recall, kinds=kinds)
    tuned = tune(np.ascontiguousarray(vectors, np.float32), queries, goal, progress=progress, title=title)
    return write_tuned(folder, tuned)


def write_tuned(folder: Path, tuned: Tuned) -> dict[str, float]:
    """Write what the tuner chose; return its recall as a manifest notes it."""
    tuned.index.save(folder)
    recall = tuned.index.recall
    return {} if recall is None else {f"recall@{tuned.index.settings.depth}": recall.measured}


def recall_at_k(index: Any, vectors: NDArray[np.float32], queries: NDArray[np.float32], *, k: int) -> float:
    """Share of the k best rows that a FAISS index finds, averaged over the queries; ties do not matter."""
    k = min(k, len(vectors))
    queries = np.ascontiguousarray(queries, np.float32)
    kth = exact_search(queries, vectors, k)[0][:, -1]
    return recall_of(index.search(queries, k)[1], queries, vectors, kth_best=kth)
