"""Building an index: vectors and settings go in, a searchable index comes out. Nothing is measured here.

Lists are k-means clusters by distance, although scores are inner products, and a search visits those whose centres have
the largest inner product with the query. FAISS's own way for inner products, clusters by angle, puts short and long
vectors into one list. The other known way, one more dimension that makes all vectors equally long, was tried too: where
lengths differ much, that dimension is all that the clusters see (`benchmarks/vector_lengths.py` prints all three).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.exact import are_comparable
from audotics.bundle.indexes.native import faiss
from audotics.bundle.indexes.settings import IndexKind, IndexSettings, Metric
from audotics.bundle.indexes.stored import StoredIndex, unit_length

_ADDED_AT_ONCE: Final = 5_000
_SAMPLES_PER_LIST: Final = 64
_BITS: Final = 4
_CODE_ROUNDS: Final = 10  # of k-means, for 16 centroids each; FAISS's 25 find no better ones
_BLOCK: Final = 32  # vectors whose codes stand together, as FAISS's fast scan has it
_EDGE_WIDTH: Final = 100  # FAISS: efConstruction
_SEED: Final = 0


def build_index(
    vectors: NDArray[np.float32],
    settings: IndexSettings,
    *,
    threads: int,
    trained: StoredIndex | None = None,
    advance: Callable[[int], None] = lambda n: None,
) -> StoredIndex:
    """Build an index over `vectors` float32 (n, d) with `threads` threads; `advance` is told of rows as they are added.

    With `trained`, an index of the same settings, its centroids and code books are taken over, which saves most of the
    time. Raises ValueError for settings that do not fit the vectors.
    """
    n, dimension = vectors.shape
    _check(settings, n, dimension)
    vectors = np.ascontiguousarray(vectors, np.float32)
    if settings.metric is Metric.COSINE:
        vectors = unit_length(vectors)
    if not are_comparable(vectors):
        raise ValueError("a vector has a number that is none, or too large to compare")
    head = longest(vectors, settings.head_rows)
    faiss.omp_set_num_threads(threads)
    if not len(head):
        index = _filled(vectors, None, settings, trained, advance)
    else:
        rows = np.delete(np.arange(n), head)
        advance(len(head))
        index = _filled(vectors, rows, settings, trained, advance)
    return StoredIndex.of(index, vectors, head, settings)


def longest(vectors: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Rows of the `count` longest vectors, ascending."""
    if not count:
        return np.empty(0, np.int64)
    lengths = np.einsum("nd,nd->n", vectors, vectors)
    return np.sort(np.argpartition(-lengths, count - 1)[:count])


def _check(settings: IndexSettings, n: int, dimension: int) -> None:
    if settings.head_rows and settings.kind not in (IndexKind.IVF_FLAT, IndexKind.IVF_PQ):
        raise ValueError(f"'head_rows' is {settings.head_rows}; a {settings.kind} index has no head")
    if settings.head_rows >= n or settings.lists > n - settings.head_rows:
        raise ValueError(f"{n} vectors are too few for {settings.head_rows} head rows and {settings.lists} lists")
    if settings.kind is IndexKind.IVF_PQ and dimension % settings.code_parts:
        raise ValueError(f"vectors of {dimension} cannot be cut into {settings.code_parts} equal parts")
    if settings.kind is IndexKind.IVF_PQ and n - settings.head_rows < 1 << _BITS:
        raise ValueError(f"{n} vectors are too few for codes of {_BITS} bits")


def _filled(
    vectors: NDArray[np.float32],
    rows: NDArray[np.int64] | None,
    settings: IndexSettings,
    trained: StoredIndex | None,
    advance: Callable[[int], None],
) -> Any:
    """The FAISS index over `rows` of `vectors`, or over all of them."""
    dimension = vectors.shape[1]
    if settings.kind is IndexKind.FLAT:
        index: Any = faiss.IndexFlatIP(dimension)
        _add(index, vectors, rows, advance)
        return index
    if settings.kind is IndexKind.HNSW:
        index = faiss.IndexHNSWFlat(dimension, settings.links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _EDGE_WIDTH
        _add(index, vectors, rows, advance)
        return index
    index = _with_lists(vectors, rows, settings) if trained is None else _emptied(trained)
    centres = index.quantizer.reconstruct_n(0, index.nlist)
    _use_quantizer(index, faiss.IndexFlatL2(dimension), centres)
    _add(index, vectors, rows, advance)
    _use_quantizer(index, faiss.IndexFlatIP(dimension), centres)
    # What is read back owns its quantizer; this one only borrows it from Python.
    return faiss.deserialize_index(faiss.serialize_index(index))


def _with_lists(vectors: NDArray[np.float32], rows: NDArray[np.int64] | None, settings: IndexSettings) -> Any:
    dimension = vectors.shape[1]
    quantizer = faiss.IndexFlatL2(dimension)
    inner_product = faiss.METRIC_INNER_PRODUCT
    if settings.kind is IndexKind.IVF_FLAT:
        index = faiss.IndexIVFFlat(quantizer, dimension, settings.lists, inner_product)
    else:
        index = faiss.IndexIVFPQFastScan(
            quantizer, dimension, settings.lists, settings.code_parts, _BITS, inner_product, _BLOCK, True
        )
        index.pq.cp.seed = _SEED
        index.pq.cp.min_points_per_centroid = 1
        index.pq.cp.niter = _CODE_ROUNDS
    index.cp.spherical = False
    index.cp.seed = _SEED
    index.cp.min_points_per_centroid = 1  # a list may be short; FAISS would print a warning
    n = len(vectors) if rows is None else len(rows)
    sample = np.random.default_rng(_SEED).choice(n, min(n, _SAMPLES_PER_LIST * settings.lists), replace=False)
    index.train(vectors.take(np.sort(sample if rows is None else rows[sample]), axis=0))
    return index


def _emptied(trained: StoredIndex) -> Any:
    index = faiss.deserialize_index(faiss.serialize_index(trained.trained))  # a mapped one cannot be emptied
    index.reset()
    return index


def _use_quantizer(index: Any, quantizer: Any, centres: NDArray[np.float32]) -> None:
    quantizer.add(centres)
    index.quantizer = quantizer  # SWIG keeps the Python object alive with the index
    index.own_fields = False


def _add(
    index: Any, vectors: NDArray[np.float32], rows: NDArray[np.int64] | None, advance: Callable[[int], None]
) -> None:
    n = len(vectors) if rows is None else len(rows)
    for start in range(0, n, _ADDED_AT_ONCE):
        end = min(start + _ADDED_AT_ONCE, n)
        if rows is None:
            index.add(vectors[start:end])
        else:
            index.add_with_ids(vectors.take(rows[start:end], axis=0), rows[start:end])
        advance(end - start)
