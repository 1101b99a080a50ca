"""The FAISS index of a bundle: vectors go in, `index.faiss`, `vectors.npy` and the index's recall come out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import faiss
import numpy as np
from numpy.typing import NDArray

from audotics.training.progress import Progress

INDEX_FILE: Final = "index.faiss"
VECTORS_FILE: Final = "vectors.npy"

EXACT_TRACKS: Final = 50_000
"""Up to this many vectors every one is compared; beyond, only the lists nearest to the query (IVF-Flat).

A graph (HNSW) was tried: on 100,000 vectors a search took twice as long and found less, and where the vectors' lengths
differ much, as collaborative ones do, no width reached the recall.
"""

PROBES: Final = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Lists that a search visits. The first that reaches GOOD_RECALL is kept, or the last."""

GOOD_RECALL: Final = 0.95
RECALL_DEPTH: Final = 100

_LISTS_PER_ROOT: Final = 4
"""Lists are 4 √n, the fewest that FAISS's own guide advises; with √n a search takes twice as long at equal recall."""

_ADDED_AT_ONCE: Final = 5_000
_SAMPLES_PER_LIST: Final = 64
_SEED: Final = 0


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

    Returns {"recall@100": …}, measured against exact search with `queries` (q, d).
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    index = _empty_index(vectors, exact=len(vectors) <= exact_tracks)
    with progress.stage(title, len(vectors)) as stage:
        for start in range(0, len(vectors), _ADDED_AT_ONCE):
            chunk = vectors[start : start + _ADDED_AT_ONCE]
            index.add(chunk)
            stage.advance(len(chunk))
    recall = _recall_of_fewest_probes(index, vectors, queries)
    np.save(folder / VECTORS_FILE, vectors)
    faiss.write_index(index, str(folder / INDEX_FILE))
    return {f"recall@{RECALL_DEPTH}": recall}


def recall_at_k(index: faiss.Index, vectors: NDArray[np.float32], queries: NDArray[np.float32], *, k: int) -> float:
    """Share of the k best rows that the index finds, averaged over the queries.

    A row counts when its inner product is no less than the k-th best one's, so that ties do not matter.
    """
    k = min(k, len(vectors))
    exact = queries @ vectors.T
    kth = np.partition(exact, len(vectors) - k, axis=1)[:, len(vectors) - k]
    rows = index.search(np.ascontiguousarray(queries, np.float32), k)[1]
    found = np.take_along_axis(exact, np.maximum(rows, 0), axis=1)
    slack = 1e-5 * np.abs(exact).max(axis=1, keepdims=True)  # FAISS adds up in another order
    return float(((rows >= 0) & (found >= kth[:, None] - slack)).mean())


def _empty_index(vectors: NDArray[np.float32], *, exact: bool) -> faiss.Index:
    n_vectors, size = vectors.shape
    if exact:
        return faiss.IndexFlatIP(size)
    n_lists = round(_LISTS_PER_ROOT * n_vectors**0.5)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, n_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = _SEED
    sample = np.random.default_rng(_SEED).choice(n_vectors, min(n_vectors, _SAMPLES_PER_LIST * n_lists), replace=False)
    index.train(vectors[sample])
    return index


def _recall_of_fewest_probes(index: faiss.Index, vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> float:
    if not isinstance(index, faiss.IndexIVF):
        return recall_at_k(index, vectors, queries, k=RECALL_DEPTH)
    recall = 0.0
    for probes in PROBES:
        index.nprobe = probes
        recall = recall_at_k(index, vectors, queries, k=RECALL_DEPTH)
        if recall >= GOOD_RECALL:
            break
    return recall
