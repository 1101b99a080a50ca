"""A vector index against brute force, with changed and deleted rows."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.settings import IndexKind, IndexSettings, Metric
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.errors import RefusedModelError
from audotics.server.retrieval.vectors import PADDING, VectorIndex

DIMENSION = 8
SIZE = 40


def write_index(folder: Path, vectors: np.ndarray, kind: str = "Flat") -> Path:
    index = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    if isinstance(index, faiss.IndexHNSW):
        index.hnsw.efSearch = 2 * SIZE  # exact for so few vectors, as all lists of an inverted file are
    if isinstance(index, faiss.IndexIVF):
        index.nprobe = index.nlist
    index.add(vectors)
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(index, str(folder / "index.faiss"))
    np.save(folder / "vectors.npy", vectors)
    return folder


def random_vectors(n: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module", params=["Flat", "HNSW32,Flat", "IVF4,Flat"])
def folder(request, tmp_path_factory) -> Path:
    return write_index(tmp_path_factory.mktemp("model") / "1", random_vectors(SIZE, 0), request.param)


@given(
    changed=st.sets(st.integers(0, SIZE + 4), max_size=12),
    deleted=st.sets(st.integers(0, SIZE + 4), max_size=20),
    k=st.integers(1, SIZE + 10),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_search_and_vectors_agree_with_brute_force(folder, changed, deleted, k, seed):
    new = sorted(changed | set(range(SIZE, max(changed, default=0) + 1)))
    table = np.concatenate([random_vectors(SIZE, 0), np.zeros((5, DIMENSION), np.float32)])
    fresh = random_vectors(len(new), seed + 1)
    table[new] = fresh
    index = VectorIndex.open(folder)
    if new:
        index = index.with_vectors(np.asarray(new, np.int64), fresh)
    index = index.with_deleted(np.asarray(sorted(deleted), np.int64))
    size = max(SIZE, *[row + 1 for row in new]) if new else SIZE
    assert index.size == size
    rows = np.arange(size)
    np.testing.assert_array_equal(index.vectors(rows), table[:size])

    queries = random_vectors(3, seed)
    scores, found = index.search(queries, k)
    assert found.shape == scores.shape
    alive = np.asarray([row for row in rows if row not in deleted], np.int64)
    for query, row_scores, row_found in zip(queries, scores, found, strict=True):
        exact = table[alive] @ query
        best = alive[np.argsort(-exact, kind="stable")][:k]
        hits = row_found[row_found != PADDING]
        assert list(hits) == list(best)
        np.testing.assert_allclose(row_scores[: len(hits)], table[hits] @ query, rtol=1e-4, atol=1e-5)
        assert np.isneginf(row_scores[len(hits) :]).all()


def test_a_change_leaves_the_snapshot_before_it_alone(folder):
    before = VectorIndex.open(folder)
    query = random_vectors(1, 5)
    best = before.search(query, 1)[1][0, 0]
    after = before.with_vectors(np.asarray([SIZE]), 100 * query).with_deleted(np.asarray([best]))
    assert after.search(query, 1)[1][0, 0] == SIZE
    assert before.search(query, 1)[1][0, 0] == best
    assert before.size == SIZE


def test_deleted_rows_come_back_when_they_are_not_deleted_any_more(folder):
    query = random_vectors(1, 6)
    index = VectorIndex.open(folder)
    best = index.search(query, 1)[1][0, 0]
    assert (
        index.with_deleted(np.asarray([best])).with_deleted(np.asarray([], np.int64)).search(query, 1)[1][0, 0] == best
    )


def wrong_shape(folder: Path) -> None:
    np.save(folder / "vectors.npy", random_vectors(SIZE - 1, 0))


def wrong_type(folder: Path) -> None:
    np.save(folder / "vectors.npy", random_vectors(SIZE, 0).astype(np.float64))


def wrong_metric(folder: Path) -> None:
    index = faiss.IndexFlatL2(DIMENSION)
    index.add(random_vectors(SIZE, 0))
    faiss.write_index(index, str(folder / "index.faiss"))


def no_vectors(folder: Path) -> None:
    write_index(folder, np.zeros((0, DIMENSION), np.float32))


def garbage(folder: Path) -> None:
    (folder / "index.faiss").write_bytes(b"garbage")


def missing(folder: Path) -> None:
    (folder / "vectors.npy").unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (wrong_shape, r"holds 40 vectors of 8"),
        (wrong_type, r"float64"),
        (wrong_metric, r"inner product"),
        (no_vectors, r"empty"),
        (garbage, r"cannot be read"),
        (missing, r"cannot be read"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_the_reason(tmp_path, damage, reason):
    folder = write_index(tmp_path / "content" / "2", random_vectors(SIZE, 0))
    damage(folder)
    with pytest.raises(RefusedModelError, match=f"^content/2: .*{reason}") as refusal:
        VectorIndex.open(folder)
    assert str(tmp_path) not in str(refusal.value)


@pytest.mark.parametrize(
    ("rows", "vectors", "reason"),
    [
        ([3], np.ones((1, 5)), r"1 rows have vectors of the shape \(1, 5\); needs \d+ each"),
        ([3, 4], np.ones((1, 8)), "2 rows have vectors of the shape"),
        ([10**9], np.ones((1, 8)), r"rows 1000000000 to 1000000000 do not continue at \d+"),
        ([51], np.ones((1, 8)), "rows 51 to 51 do not continue at 50"),
        ([-1], np.ones((1, 8)), "rows -1 to -1 do not continue"),
        ([3], np.full((1, 8), np.nan), "a vector has a number that is none, or too large"),
        ([3], np.full((1, 8), 1e30), "or too large to compare"),
        ([3], np.full((1, 8), np.inf), "a vector has a number that is none, or too large"),
    ],
)
def test_changes_that_do_not_fit_are_refused(rows, vectors, reason):
    index = VectorIndex.of(small_index())
    with pytest.raises(ValueError, match=reason):
        index.with_vectors(np.asarray(rows), vectors.astype(np.float32))


def test_a_row_that_is_named_twice_has_its_last_vector():
    index = VectorIndex.of(small_index())
    index = index.with_vectors(np.asarray([5, 50, 5, 50]), np.arange(32, dtype=np.float32).reshape(4, 8))
    assert index.size == 51
    assert index.vectors(np.asarray([5, 50]))[:, 0].tolist() == [16, 24]


def test_cosines_are_compared_whatever_lengths_queries_and_changed_vectors_have():
    table = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    plain = VectorIndex.of(build_index(table, IndexSettings(metric=Metric.COSINE), threads=1))
    changed = np.arange(5)
    index = plain.with_vectors(changed, 90 * table[::-1][:5])
    table[changed] = table[::-1][:5]
    units = table / np.linalg.norm(table, axis=1, keepdims=True)
    queries = random_vectors(3, 1)
    cosines = -np.sort(-queries @ units.T, axis=1)

    np.testing.assert_allclose(index.vectors(np.arange(50)), units, rtol=1e-5)
    for length in (1, 200):
        for search in (index.search, index.exact):
            np.testing.assert_allclose(search(length * queries, 50)[0], cosines, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(plain.exact(length * queries, 1)[0], plain.search(queries, 1)[0], rtol=1e-4)


@pytest.mark.parametrize("new", [0, 1])
def test_the_one_row_that_a_search_did_not_look_at_is_there_when_all_are_wanted(new):
    """It stands alone in a list, and only the other list is visited."""
    table = np.eye(1, DIMENSION, dtype=np.float32) + 1e-3 * random_vectors(400, 2)
    table[17] *= -1
    stored = build_index(table, IndexSettings(IndexKind.IVF_FLAT, lists=2, probes=1), threads=1)
    index = VectorIndex.of(stored).with_vectors(np.arange(400, 400 + new), random_vectors(new, 3))
    query = table[:1]
    assert np.count_nonzero(stored.search(query, 400)[1] < 0) == 1

    rows = index.search(query, 500)[1]

    assert sorted(rows[0].tolist()) == list(range(400 + new))


def test_queries_of_another_dimension_are_refused_and_none_are_no_fault():
    index = VectorIndex.of(small_index())
    with pytest.raises(ValueError, match=r"'queries' have the shape \(2, 5\); the index has vectors of 8"):
        index.search(np.ones((2, 5), np.float32), 3)
    assert index.search(np.ones((0, 8), np.float32), 3)[1].shape == (0, 3)
    assert index.search(np.ones((2, 8), np.float32), 0)[1].shape == (2, 0)


def small_index() -> StoredIndex:
    return build_index(np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32), IndexSettings(), threads=1)
