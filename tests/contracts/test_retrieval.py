"""One suite for everything that searches fixed vectors: FAISS on the CPU and on GPUs, and the ONNX graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.exact import PADDING
from audotics.bundle.indexes.selection import RowSelection
from audotics.bundle.indexes.settings import IndexKind, IndexSettings, Metric
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.retrieval.backends.backend import Backend
from audotics.server.retrieval.backends.fallback import WithFallback
from audotics.server.retrieval.backends.gpu import CPU, GpuFaiss, Placement, Spread, gpu_count
from audotics.server.retrieval.backends.onnx import OnnxTopK
from audotics.server.retrieval.counters import RetrievalCounters
from tests.gpus import needs_cuda, needs_gpu, needs_two_gpus

SIZE, DIMENSION = 1200, 16

FLAT = IndexSettings()
IVF_FLAT = IndexSettings(IndexKind.IVF_FLAT, lists=16, probes=12, head_rows=50)
IVF_PQ = IndexSettings(IndexKind.IVF_PQ, lists=16, probes=12, head_rows=50, code_parts=16, rescored=400)
HNSW = IndexSettings(IndexKind.HNSW, links=16, width=128)
COSINE = IndexSettings(metric=Metric.COSINE)


def on_cpu(stored: StoredIndex) -> Backend:
    return stored


def on_gpu(*devices: int, spread: Spread = Spread.REPLICATED, float16: bool = True) -> Callable[[StoredIndex], Backend]:
    return lambda stored: GpuFaiss(stored, placement=Placement(devices, spread, float16))


def in_onnx(device: str) -> Callable[[StoredIndex], Backend]:
    return lambda stored: OnnxTopK(stored, device=device)


def with_fallback(stored: StoredIndex) -> Backend:
    return WithFallback(stored, (on_gpu(CPU),), counters=RetrievalCounters())


def fallen_back(stored: StoredIndex) -> Backend:
    return WithFallback(stored, (on_gpu(gpu_count() + 7),), counters=RetrievalCounters())


@dataclass(frozen=True)
class Searched:
    """A backend over `vectors`; `exact` ones find every row, the others most of them."""

    backend: Backend
    vectors: np.ndarray
    exact: bool
    make: Callable[[np.ndarray], Backend]


CASES = {
    "flat": (FLAT, on_cpu, True),
    "cosine": (COSINE, on_cpu, True),
    "ivf-flat": (IVF_FLAT, on_cpu, False),
    "ivf-pq": (IVF_PQ, on_cpu, False),
    "hnsw": (HNSW, on_cpu, False),
    "onnx-cpu": (FLAT, in_onnx("cpu"), True),
    "onnx-cpu-cosine": (COSINE, in_onnx("cpu"), True),
    "gpu-code-on-cpu": (FLAT, on_gpu(CPU), True),
    "gpu-code-on-cpu-float32": (FLAT, on_gpu(CPU, float16=False), True),
    "gpu-code-on-cpu-sharded": (FLAT, on_gpu(CPU, CPU, CPU, spread=Spread.SHARDED), True),
    "gpu-code-on-cpu-replicated": (FLAT, on_gpu(CPU, CPU), True),
    "with-fallback": (COSINE, with_fallback, True),
    "fallen-back": (FLAT, fallen_back, True),
    "gpu": pytest.param((FLAT, on_gpu(0), True), marks=needs_gpu),
    "gpu-float32": pytest.param((FLAT, on_gpu(0, float16=False), True), marks=needs_gpu),
    "gpu-cosine": pytest.param((COSINE, on_gpu(0), True), marks=needs_gpu),
    "gpus-sharded": pytest.param((FLAT, on_gpu(0, 1, spread=Spread.SHARDED), True), marks=needs_two_gpus),
    "gpus-replicated": pytest.param((FLAT, on_gpu(0, 1), True), marks=needs_two_gpus),
    "onnx-cuda": pytest.param((FLAT, in_onnx("cuda"), True), marks=needs_cuda),
}


def random_vectors(n: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    lengths = np.exp(random.normal(0, 0.4, (n, 1)))
    return (random.normal(size=(n, DIMENSION)) * lengths).astype(np.float32)


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def searched(request) -> Iterator[Searched]:
    settings, place, exact = request.param
    stored = build_index(random_vectors(SIZE, 0), settings, threads=1)
    backend = place(stored)
    yield Searched(
        backend, np.asarray(stored.vectors), exact, lambda table: place(build_index(table, settings, threads=1))
    )
    backend.close()


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    found = random_vectors(24, 1)
    return found / np.linalg.norm(found, axis=1, keepdims=True)  # so that cosines are inner products


def check(searched: Searched, queries, scores, rows, shown, k) -> None:
    """Rows are distinct and shown, scores theirs and falling, and exact backends have the best of them."""
    assert scores.dtype == np.float32
    assert rows.dtype == np.int64
    for query, row_scores, found in zip(queries, scores, rows, strict=True):
        hits = found[found != PADDING]
        assert (found[len(hits) :] == PADDING).all()
        assert np.isneginf(row_scores[len(hits) :]).all()
        assert len(set(hits.tolist())) == len(hits)
        assert shown[hits].all()
        np.testing.assert_allclose(row_scores[: len(hits)], searched.vectors[hits] @ query, rtol=1e-4, atol=1e-5)
        assert (np.diff(row_scores[: len(hits)]) <= 1e-6).all()
        if searched.exact:
            matching = np.flatnonzero(shown)
            best = np.sort(searched.vectors[matching] @ query)[::-1][:k]
            np.testing.assert_allclose(row_scores[: len(best)], best, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_best_rows_come_first_with_their_scores(searched, queries, k):
    scores, rows = searched.backend.search(queries, k)

    assert rows.shape == (len(queries), k)
    check(searched, queries, scores, rows, np.ones(SIZE, np.bool_), k)
    exact = np.argsort(-queries @ searched.vectors.T, axis=1)[:, :k]
    found = np.mean([len(set(a) & set(b)) / k for a, b in zip(rows.tolist(), exact.tolist(), strict=True)])
    assert found >= 0.9


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_only_selected_rows_are_found(searched, queries, share):
    shown = np.random.default_rng(3).random(SIZE) < share

    scores, rows = searched.backend.search(queries, 20, selection=RowSelection.of(shown))

    check(searched, queries, scores, rows, shown, 20)


def test_nothing_is_found_when_nothing_may_be(searched, queries):
    scores, rows = searched.backend.search(queries, 5, selection=RowSelection.of(np.zeros(SIZE, np.bool_)))

    assert (rows == PADDING).all()
    assert np.isneginf(scores).all()


def test_more_rows_than_there_are(searched, queries):
    scores, rows = searched.backend.search(queries[:3], SIZE + 50)

    assert rows.shape == scores.shape
    assert rows.shape[1] <= SIZE == searched.backend.size
    check(searched, queries[:3], scores, rows, np.ones(SIZE, np.bool_), SIZE)


def test_no_queries_find_nothing(searched, queries):
    scores, rows = searched.backend.search(queries[:0], 7)

    assert scores.shape == rows.shape == (0, 7)
    assert (scores.dtype, rows.dtype) == (np.float32, np.int64)


def test_a_query_without_a_direction_finds_rows_with_a_score_of_nothing(searched, queries):
    scores, rows = searched.backend.search(np.zeros_like(queries[:2]), 5)

    assert (scores == 0).all()
    assert all(len(set(found.tolist())) == 5 for found in rows)


@pytest.mark.parametrize("scale", [1e-12, 1e9], ids=["small", "large"])
def test_lengths_beyond_half_precision_do_not_matter(searched, queries, scale):
    """float16 ends at 65,504, and has nothing below 6e-8."""
    backend = searched.make((searched.vectors * scale).astype(np.float32))
    rows = backend.search((queries * scale).astype(np.float32), 10)[1]
    backend.close()

    exact = np.argsort(-queries @ searched.vectors.T, axis=1)[:, :10]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]) >= 0.9


@pytest.mark.parametrize("count", [1, 2])
def test_one_vector_is_an_index(searched, queries, count):
    if not searched.exact:
        pytest.skip("lists and graphs are made over more vectors")
    table = searched.vectors[:count]
    backend = searched.make(table)
    scores, rows = backend.search(queries, 5)
    backend.close()

    assert rows.shape[1] <= count
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(count), (len(queries), 1)))
    np.testing.assert_allclose(scores, -np.sort(-queries @ table.T, axis=1), rtol=1e-4, atol=1e-5)


def test_a_query_alone_finds_what_it_finds_among_others(searched, queries):
    together = searched.backend.search(queries, 10)[1]
    alone = np.concatenate([searched.backend.search(query[None], 10)[1] for query in queries])

    # FAISS may add up in another order for a batch; rows of all but equal scores may change places.
    assert (alone == together).mean() > 0.98


def test_threads_get_their_own_rows(searched, queries):
    expected = [searched.backend.search(query[None], depth)[1] for query in queries for depth in (5, 10)]
    searches = [
        partial(searched.backend.search, query[None], depth) for _ in range(4) for query in queries for depth in (5, 10)
    ]
    with ThreadPoolExecutor(8) as pool:
        found = [future.result()[1] for future in [pool.submit(search) for search in searches]]

    same = [np.array_equal(rows, expected[i % len(expected)]) for i, rows in enumerate(found)]
    assert np.mean(same) > 0.98  # as above


def test_more_effort_finds_no_less(searched, queries):
    def recall(effort: float) -> float:
        rows = searched.backend.search(queries, 10, effort=effort)[1]
        exact = np.argsort(-queries @ searched.vectors.T, axis=1)[:, :10]
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]))

    assert recall(8.0) >= recall(1.0) - 0.01
    assert recall(8.0) > 0.97
