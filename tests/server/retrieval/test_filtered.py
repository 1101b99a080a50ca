"""Filtered searches and several queries: every row passes, and there are as many as asked while matches exist."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.exact import PADDING
from audotics.bundle.indexes.settings import IndexKind, IndexSettings
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.retrieval.counters import RetrievalCounters
from audotics.server.retrieval.interests import merge_interests
from audotics.server.retrieval.vectors import VectorIndex

LARGE = 9000
"""Enough rows for filters above the threshold of exact search."""


def large_vectors() -> np.ndarray:
    random = np.random.default_rng(4)
    centres = random.normal(size=(30, 8))
    vectors = centres[random.integers(0, 30, LARGE)] + 0.4 * random.normal(size=(LARGE, 8))
    return vectors.astype(np.float32)


@pytest.fixture(scope="module", params=["ivf_flat", "ivf_pq", "hnsw", "flat"])
def large(request) -> StoredIndex:
    narrow = {  # narrow searches, which a filter leaves short
        "flat": IndexSettings(),
        "ivf_flat": IndexSettings(IndexKind.IVF_FLAT, lists=200, probes=1),
        "ivf_pq": IndexSettings(IndexKind.IVF_PQ, lists=200, probes=1, code_parts=8, rescored=100),
        "hnsw": IndexSettings(IndexKind.HNSW, links=8, width=8),
    }
    return build_index(large_vectors(), narrow[request.param], threads=1)


@given(
    share=st.sampled_from([0.0, 0.0003, 0.01, 0.4, 0.5, 0.7, 0.95, 1.0]),
    clustered=st.booleans(),
    k=st.sampled_from([1, 7, 60, 900]),
    changed=st.integers(0, 30),
    deleted=st.integers(0, 400),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=25, deadline=None)
def test_never_fewer_than_asked_while_matches_exist(large, share, clustered, k, changed, deleted, seed):
    random = np.random.default_rng(seed)
    index = VectorIndex.of(large)
    table = np.asarray(large.vectors)
    if changed:
        rows = np.unique(np.concatenate([random.integers(0, LARGE, changed), LARGE + np.arange(changed // 2)]))
        fresh = random.normal(size=(len(rows), 8)).astype(np.float32)
        index = index.with_vectors(rows, fresh)
        table = np.concatenate([table, np.zeros((index.size - LARGE, 8), np.float32)])
        table[rows] = fresh
    gone = random.choice(index.size, deleted, replace=False)
    index = index.with_deleted(gone)
    if clustered:  # the matches lie far from some queries
        allowed = table[:, 0] >= np.quantile(table[:, 0], 1 - share) if share else np.zeros(index.size, np.bool_)
    else:
        allowed = random.random(index.size) < share
    queries = random.normal(size=(3, 8)).astype(np.float32)

    scores, rows = index.search(queries, k, allowed=allowed)

    matching = allowed.copy()
    matching[gone] = False
    for query, row_scores, found in zip(queries, scores, rows, strict=True):
        hits = found[found != PADDING]
        assert len(hits) == min(k, np.count_nonzero(matching))
        assert len(np.unique(hits)) == len(hits)
        assert matching[hits].all()
        np.testing.assert_allclose(row_scores[: len(hits)], table[hits] @ query, rtol=1e-3, atol=1e-4)
        assert (np.diff(row_scores[: len(hits)]) <= 1e-5).all()


def test_few_matches_are_compared_one_by_one_and_many_through_the_index(large):
    counters = RetrievalCounters()
    index = VectorIndex.of(large, counters=counters)
    query = large_vectors()[:1]

    few = np.zeros(LARGE, np.bool_)
    few[-4000:] = True
    rows = index.search(query, 5, allowed=few)[1]
    best = np.flatnonzero(few)[np.argsort(-(large_vectors()[few] @ query[0]))[:5]]
    np.testing.assert_array_equal(rows[0], best)
    assert (counters.counts.exact_filtered, counters.counts.indexed_filtered) == (1, 0)

    index.search(query, 5, allowed=np.arange(LARGE) <= 4000)
    assert (counters.counts.exact_filtered, counters.counts.indexed_filtered) == (1, 1)


class Heedless:
    """A backend that finds rows whether they are selected or not."""

    def __init__(self, stored: StoredIndex) -> None:
        self._stored = stored
        self.size = stored.size

    def search(self, queries, k, *, selection=None, effort=1.0):
        return self._stored.search(queries, k, effort=effort)

    def close(self) -> None:
        self._stored = None


def test_what_an_index_finds_is_checked_against_the_filter(large):
    index = VectorIndex.of(large, place=Heedless).with_deleted(np.arange(0, LARGE, 5))
    allowed = np.arange(LARGE) % 3 > 0
    rows = index.search(large_vectors()[:20], 10, allowed=allowed)[1]
    matching = np.flatnonzero(allowed & (np.arange(LARGE) % 5 > 0))
    best = matching[np.argsort(-(large_vectors()[:20] @ large_vectors()[matching].T), axis=1)[:, :10]]
    np.testing.assert_array_equal(np.sort(rows), np.sort(best))


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq"])
def test_a_filter_does_not_lower_recall(kind):
    """A filter beside which a search looked no wider would find fewer of the best rows than a search without one."""
    table, random = large_vectors(), np.random.default_rng(2)
    code = {"code_parts": 8, "rescored": 40} if kind == "ivf_pq" else {}
    index = VectorIndex.of(build_index(table, IndexSettings(IndexKind(kind), lists=200, probes=4, **code), threads=1))
    queries = (table[random.choice(LARGE, 100, False)] + 0.3 * random.normal(size=(100, 8))).astype(np.float32)
    allowed = random.random(LARGE) < 0.46

    def recall(shown):
        scores = index.search(queries, 20, allowed=shown)[0]
        exact = np.sort(queries @ table[slice(None) if shown is None else shown].T, axis=1)
        return (scores >= exact[:, -20:-19] - 1e-3).mean()

    assert np.count_nonzero(allowed) > 4000  # fewer would be compared one by one
    assert recall(allowed) > recall(None) + 0.05


def test_a_mask_of_another_size_is_refused(stored_of, queries):
    with pytest.raises(ValueError, match=r"'allowed' has the shape \(7,\); the index has 3000 rows"):
        VectorIndex.of(stored_of("flat")).search(queries, 5, allowed=np.ones(7, np.bool_))


def test_an_unfiltered_search_is_completed_too(large):
    """One list of two hundred holds some 45 rows, and more are asked for."""
    counters = RetrievalCounters()
    index = VectorIndex.of(large, counters=counters)

    rows = index.search(large_vectors()[:4], 2000)[1]

    assert rows.shape == (4, 2000)
    assert (rows != PADDING).all()
    assert counters.counts.completed == (4 if large.settings.kind.startswith("ivf") else 0)


def test_interests_take_turns_and_rows_stand_once():
    scores = np.asarray([[9.0, 8.0, 7.0, 6.0], [3.0, 2.0, 1.0, -np.inf]], np.float32)
    rows = np.asarray([[10, 11, 12, 13], [20, 10, 21, PADDING]])

    merged_scores, merged = merge_interests(scores, rows, 5)

    assert merged.tolist() == [10, 20, 11, 12, 21]
    assert merged_scores.tolist() == [9.0, 3.0, 8.0, 7.0, 1.0]
    assert merge_interests(scores, rows, 100)[1].tolist() == [10, 20, 11, 12, 21, 13]


@pytest.mark.parametrize("kind", ["flat", "ivf_flat", "ivf_pq"])
def test_every_interest_has_its_share(stored_of, table, kind):
    index = VectorIndex.of(stored_of(kind))
    interests = table[[5, 1700, 2800]] * np.asarray([[50.0], [1.0], [0.02]], np.float32)

    scores, rows = index.search_together(interests, 30)

    assert len(rows) == len(set(rows.tolist())) == 30
    first = index.search(interests, 8)[1]
    assert set(first.ravel().tolist()) <= set(rows.tolist())
    best = (interests @ table[rows].T).max(axis=0)
    assert (scores <= best + 1e-3).all()
