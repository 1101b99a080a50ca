"""The index on disk finds what exact search finds, and says how much of it."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from audotics.bundle.indexes.settings import IndexKind
from audotics.bundle.indexes.stored import StoredIndex
from audotics.exporters.index import recall_at_k, write_index


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(0, 1, (1500, 12)).astype(np.float32)


def test_a_small_index_is_exact(tmp_path, vectors, progress):
    metrics = write_index(tmp_path, vectors, vectors[:50], progress=progress, title="index")

    index = faiss.read_index(str(tmp_path / "index.faiss"))
    assert metrics == {"recall@100": 1.0}
    assert index.metric_type == faiss.METRIC_INNER_PRODUCT
    np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), vectors)
    best = np.argmax(vectors[:50] @ vectors.T, axis=1)
    np.testing.assert_array_equal(index.search(vectors[:50], 1)[1][:, 0], best)
    assert progress.stages == {"index": 1500}


def test_a_large_index_looks_at_a_part_and_its_recall_is_measured(tmp_path, vectors, progress):
    metrics = write_index(tmp_path, vectors, vectors[:50], progress=progress, title="index", exact_tracks=1000)

    index = StoredIndex.open(tmp_path)
    assert index.settings.kind in (IndexKind.FLAT, IndexKind.IVF_FLAT, IndexKind.IVF_PQ)
    assert index.recall is not None
    assert (index.recall.k, index.recall.target) == (100, 0.95)
    assert 0.95 <= metrics["recall@100"] == index.recall.measured <= 1.0
    assert index.recall.queries == len(index.queries) == 25
    rows = index.search(index.queries, 100)[1]
    exact = np.argsort(-index.queries @ vectors.T, axis=1)[:, :100]
    found = np.mean([len(set(a) & set(b)) / 100 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)])
    assert found == pytest.approx(metrics["recall@100"], abs=1e-3)


def test_fewer_tracks_than_the_depth_of_recall(tmp_path, vectors, progress):
    assert write_index(tmp_path, vectors[:7], vectors[:3], progress=progress, title="index") == {"recall@100": 1.0}


def test_recall_is_the_share_of_the_best_rows_that_are_found(vectors):
    half = faiss.IndexIDMap2(faiss.IndexFlatIP(12))
    kept = np.arange(0, len(vectors), 2)
    half.add_with_ids(vectors[kept], kept)
    queries = vectors[:40]
    best = np.argsort(-queries @ vectors.T, axis=1)[:, :100]

    assert recall_at_k(half, vectors, queries, k=100) == pytest.approx((best % 2 == 0).mean(), abs=1e-3)


def test_rows_that_the_index_cannot_fill_count_as_missed(vectors):
    few = faiss.IndexFlatIP(12)
    few.add(vectors[:10])

    assert recall_at_k(few, vectors[:40], np.zeros((1, 12), np.float32), k=40) == pytest.approx(10 / 40)


def test_ties_do_not_lower_recall():
    equal = np.ones((300, 4), np.float32)
    index = faiss.IndexFlatIP(4)
    index.add(equal)

    assert recall_at_k(index, equal, equal[:2], k=100) == 1.0
