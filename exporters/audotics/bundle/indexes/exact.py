"""Exact search: queries and vectors go in, the best rows by inner product come out; and the recall of any other search.

Nothing here is approximate, so it is what everything else is measured against.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.native import faiss

PADDING = -1
"""Stands, with a score of -inf, at the end of a result that has fewer rows than were asked for."""

LARGEST = 2.0**56
"""No number of a vector is larger: FAISS ends the process when its sums of squares leave float32."""

_CHUNK_BYTES = 4 << 20
"""Vectors gathered at once: little enough to stay in the cache."""

_SLACK = 1e-5
"""FAISS adds up in another order: scores nearer to each other than this share of the largest count as equal."""


def are_comparable(numbers: NDArray[np.float32]) -> bool:
    """Whether all are finite, and none is too large for sums of squares."""
    return bool(numbers.min(initial=0) >= -LARGEST and numbers.max(initial=0) <= LARGEST)


def exact_search(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k best of `vectors` (n, d) for each of `queries` (q, d): scores and rows (q, min(k, n)), best first."""
    scores, rows = faiss.knn(queries, vectors, min(k, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT)
    return scores, rows


def exact_among(
    queries: NDArray[np.float32],
    rows: NDArray[np.int64],
    k: int,
    *,
    gather: Callable[[NDArray[np.int64]], NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """As `exact_search`, but only `rows` (m,) are compared. `gather` gives the vectors of a few of them at a time."""
    k = min(k, len(rows))
    scores = np.empty((len(queries), 0), np.float32)
    found = np.empty((len(queries), 0), np.int64)
    step = max(1, _CHUNK_BYTES // (4 * queries.shape[1]))
    for start in range(0, len(rows), step):
        piece = rows[start : start + step]
        fresh = queries @ gather(piece).T
        scores, found = best_of(
            np.concatenate([scores, fresh], axis=1),
            np.concatenate([found, np.broadcast_to(piece, fresh.shape)], axis=1),
            k,
        )
    return scores, found


def scores_of(
    rows: NDArray[np.int64], queries: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Inner products (q, m) of each query with its own `rows` (q, m) of `vectors`; -inf for PADDING."""
    scores = np.empty(rows.shape, np.float32)
    arrays = [np.ascontiguousarray(array) for array in (queries, vectors, rows)]  # FAISS is given bare pointers
    pointers = [faiss.swig_ptr(array) for array in (scores, *arrays)]
    faiss.fvec_inner_products_by_idx(*pointers, vectors.shape[1], *rows.shape)
    return scores


def best_of(
    scores: NDArray[np.float32], rows: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k entries (q, k) with the highest of `scores` (q, m), best first; of equals the first. All when m <= k."""
    if scores.shape[1] > 4 * k:
        kept = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        kept.sort(axis=1)
        scores, rows = np.take_along_axis(scores, kept, axis=1), np.take_along_axis(rows, kept, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)


def recall_of(
    rows: NDArray[np.int64],
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    *,
    kth_best: NDArray[np.float32],
) -> float:
    """Share of found `rows` (q, k) that are among the k best, whose last score is `kth_best` (q,).

    A row counts when its inner product is no less than the k-th best one's, so that ties do not matter. PADDING is
    missed.
    """
    found = np.einsum("qkd,qd->qk", vectors.take(np.maximum(rows, 0).ravel(), axis=0).reshape(*rows.shape, -1), queries)
    slack = _SLACK * np.maximum(np.abs(found).max(axis=1, initial=0.0), np.abs(kth_best))
    return float(((rows >= 0) & (found >= (kth_best - slack)[:, None])).mean())
