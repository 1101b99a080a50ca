"""Changes are seen at once, compaction brings them into the index, and an index that finds too little stays out."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.exact import PADDING
from audotics.bundle.indexes.settings import IndexSettings, Recall
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.errors import RefusedModelError
from audotics.server.retrieval.compaction import compact, needs_compaction
from audotics.server.retrieval.counters import RetrievalCounters
from audotics.server.retrieval.guard import RecallGuard
from audotics.server.retrieval.held_out import finds_enough, held_out_recall, measured_recall, require_recall
from audotics.server.retrieval.vectors import VectorIndex
from tests.server.retrieval.conftest import DIMENSION, make_vectors

KINDS = ["flat", "ivf_flat", "ivf_pq", "hnsw"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_upsert_and_a_delete_are_seen_by_the_next_search(stored_of, kind):
    index = VectorIndex.of(stored_of(kind))
    far = np.full((1, DIMENSION), 40.0, np.float32)
    query = far / np.linalg.norm(far)

    added = index.with_vectors(np.asarray([3000]), far)
    assert added.search(query, 3)[1][0, 0] == 3000
    moved = added.with_vectors(np.asarray([12]), 2 * far)
    assert moved.search(query, 3)[1][0, :2].tolist() == [12, 3000]
    gone = moved.with_deleted(np.asarray([12, 3000]))
    assert not {12, 3000} & set(gone.search(query, 50)[1].ravel().tolist())
    assert index.search(query, 3)[1][0, 0] not in (12, 3000)


@pytest.mark.parametrize("kind", KINDS)
def test_compaction_keeps_rows_vectors_and_deletes(stored_of, table, queries, kind):
    fresh = make_vectors(500, seed=8)
    rows = np.concatenate([np.arange(100, 400), np.arange(3000, 3200)])
    index = VectorIndex.of(stored_of(kind)).with_vectors(rows, fresh).with_deleted(np.asarray([5, 120, 3100]))

    compacted = compact(index, name="content")

    assert (index.delta_size, compacted.delta_size) == (500, 0)
    assert compacted.size == index.size == 3200
    every = np.arange(3200)
    np.testing.assert_array_equal(compacted.vectors(every), index.vectors(every))
    np.testing.assert_array_equal(compacted.deleted, [5, 120, 3100])
    found = compacted.search(queries, 3200)[1]
    assert not {5, 120, 3100} & set(found.ravel().tolist())
    assert measured_recall(compacted, queries, 20) > 0.8
    assert compacted.stored.settings == index.stored.settings


def test_what_changes_during_a_compaction_is_carried_over(stored_of):
    start = VectorIndex.of(stored_of("ivf_pq")).with_vectors(np.asarray([7, 8]), make_vectors(2, seed=3))
    compacted = compact(start, name="content")
    fresh = make_vectors(2, seed=4) * 30
    current = start.with_vectors(np.asarray([8, 3000]), fresh).with_deleted(np.asarray([7]))

    index = current.carried_over(compacted, since=start)

    assert index.delta_size == 2  # row 7 went into the index, 8 changed again, 3000 is new
    every = np.arange(3001)
    np.testing.assert_array_equal(index.vectors(every), current.vectors(every))
    assert index.search(fresh[1:], 1)[1].tolist() == [[3000]]
    assert 7 not in index.search(current.vectors(np.asarray([7])), 3000)[1]


def test_searches_go_on_beside_changes_and_compaction(stored_of):
    """Readers never see a deleted row, a row twice, or an upsert lost."""
    holder = [VectorIndex.of(stored_of("ivf_flat"))]
    stop = threading.Event()
    marks = make_vectors(20, seed=6) * 50

    def read() -> int:
        searches = 0
        while not stop.is_set() or not searches:
            index = holder[0]
            n_new = index.size - 3000
            rows = index.search(marks, 5)[1]
            assert not np.isin(rows, index.deleted).any()
            for row, found in enumerate(rows[:n_new]):
                assert 3000 + row in found
            searches += 1
        return searches

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for row in range(20):
                index = holder[0].with_vectors(np.asarray([3000 + row]), marks[row : row + 1])
                holder[0] = index.with_deleted(np.arange(row))
                if row % 8 == 7:
                    since = holder[0]
                    compacted = pool.submit(compact, since, name="content").result()
                    holder[0] = holder[0].carried_over(compacted, since=since)
        finally:
            stop.set()
        assert all(reader.result() for reader in readers)
    assert holder[0].size == 3020
    assert holder[0].delta_size == 4


def test_an_old_snapshot_is_dropped_when_its_last_reader_leaves(tmp_path, stored_of):
    stored_of("ivf_pq").save(tmp_path)
    index = VectorIndex.open(tmp_path)
    old = weakref.ref(index.stored.vectors)
    reader = index
    index = compact(index.with_vectors(np.asarray([1]), make_vectors(1, seed=2)), name="content")
    gc.collect()
    assert old() is not None
    assert reader.search(make_vectors(1), 3)[1].shape == (1, 3)

    del reader
    gc.collect()

    assert old() is None
    assert index.search(make_vectors(1), 3)[1].shape == (1, 3)


def test_compaction_is_due_when_many_vectors_stand_beside_the_index(stored_of):
    index = VectorIndex.of(stored_of("flat"))
    assert not needs_compaction(index.with_vectors(np.arange(2000), make_vectors(2000)))
    assert needs_compaction(index.with_vectors(np.arange(2001), make_vectors(2001)))
    large = VectorIndex.of(build_index(np.ones((150_000, 2), np.float32), IndexSettings(), threads=1))
    assert not needs_compaction(large.with_vectors(np.arange(3000), np.ones((3000, 2), np.float32)))
    assert needs_compaction(large.with_vectors(np.arange(3001), np.ones((3001, 2), np.float32)))


def test_the_guard_measures_what_searches_found(stored_of, table, queries):
    counters = RetrievalCounters()
    narrow = replace(stored_of("ivf_flat"), settings=replace(stored_of("ivf_flat").settings, probes=1))
    with RecallGuard(share=1.0, counters=counters) as guard:
        index = VectorIndex.of(narrow, guard=guard)
        rows = index.search(queries, 10)[1]
        guard.drain()
        exact = np.argsort(-queries @ table.T, axis=1)[:, :10]
        found = [len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]
        assert counters.counts.recall_samples == len(queries)
        assert guard.recall == pytest.approx(np.mean(found), abs=0.01)
        assert guard.recall < 1
        assert guard.recall_of(narrow) == (guard.recall, len(queries))
        assert guard.recall_of(stored_of("ivf_flat")) == (None, 0)
    for _ in range(3):
        index.search(queries, 10)  # outside, nothing is sampled, and nothing waits
    assert counters.counts.recall_samples == len(queries)
    assert counters.counts.recall_skipped == 0


def test_queries_that_nobody_has_time_to_measure_are_counted(stored_of, queries):
    counters, go = RetrievalCounters(), threading.Event()

    def measure(query, rows):
        go.wait()
        return float((rows == 1).mean())

    rows = np.ones((len(queries), 3), np.int64)
    with RecallGuard(share=1.0, counters=counters) as guard:
        for _ in range(5):
            guard.offer(stored_of("flat"), measure, queries, rows)
        skipped = counters.counts.recall_skipped
        rows[:] = 0  # they are the caller's
        go.set()
    assert skipped >= 5 * len(queries) - 65  # one is measured, 64 wait
    assert counters.counts.recall_samples == 5 * len(queries) - skipped  # what waited at the end was measured, too
    assert guard.recall == 1.0


def test_what_was_measured_is_not_kept(queries):
    with RecallGuard(share=1.0, counters=RetrievalCounters()) as guard:
        index = VectorIndex.of(build_index(queries, IndexSettings(), threads=1), guard=guard)
        index.search(queries, 3)
        guard.drain()
        old = weakref.ref(index.stored)
        del index
        gc.collect()
        assert old() is None
        assert guard.recall == 1.0


def test_a_sample_that_cannot_be_measured_is_logged_and_the_next_one_is(stored_of, queries, caplog):
    counters, outcomes = RetrievalCounters(), iter([0.2, "fails", 0.6])

    def measure(query, rows):
        return float(next(outcomes))

    with RecallGuard(share=1.0, counters=counters) as guard:
        guard.offer(stored_of("flat"), measure, queries[:3], np.zeros((3, 3), np.int64))
        guard.drain()
    assert guard.recall == pytest.approx(0.4)
    assert "could not be searched again exactly" in caplog.text


def test_the_guard_samples_a_share(stored_of, queries):
    counters = RetrievalCounters()
    with RecallGuard(share=0.25, counters=counters) as guard:
        index = VectorIndex.of(stored_of("flat"), guard=guard)
        for _ in range(10):
            index.search(queries, 5)
            guard.drain()
        assert 60 <= counters.counts.recall_samples <= 140
        assert guard.recall == 1.0
    with pytest.raises(ValueError, match="'share' is 2; it must be 0 to 1"):
        RecallGuard(share=2, counters=counters)


def test_deleted_rows_and_filters_do_not_count_as_missed(stored_of, queries):
    with RecallGuard(share=1.0, counters=RetrievalCounters()) as guard:
        index = VectorIndex.of(stored_of("flat"), guard=guard)
        index = index.with_deleted(np.unique(index.search(queries, 3)[1]))
        index.search(queries, 10)
        index.search(queries, 10, allowed=np.arange(3000) % 2 == 0)
        guard.drain()
        assert guard.recall == 1.0


@pytest.mark.parametrize("left", [2, 0])
def test_nothing_is_missed_where_hardly_anything_is_left(stored_of, queries, left, caplog):
    """The rows that may be found are fewer than were asked for, or none."""
    gone = np.arange(3000 - left)
    with RecallGuard(share=1.0, counters=RetrievalCounters()) as guard:
        index = VectorIndex.of(stored_of("flat"), guard=guard).with_deleted(gone)
        assert (index.search(queries, 20)[1] >= 0).sum(axis=1).tolist() == [left] * len(queries)
        guard.drain()
        assert guard.recall == 1.0
    assert held_out_recall(index) == 1.0
    assert compact(index, name="content").live_count == left
    assert caplog.text == ""


def test_every_query_is_counted(stored_of, queries):
    counters = RetrievalCounters()
    index = VectorIndex.of(stored_of("flat"), counters=counters)
    index.search(queries, 5)
    index.search_together(queries[:3], 5)
    held_out_recall(index)  # these are nobody's
    compact(index, name="content").search(queries[:2], 5)
    assert counters.counts.searches == len(queries) + 5


def poor(stored: StoredIndex) -> StoredIndex:
    """An index that finds less than it promises."""
    settings = replace(stored.settings, probes=1, head_rows=0)
    return replace(stored, settings=settings, _head=None, recall=Recall(20, 0.99, 0.99, 40))


def test_an_index_that_finds_too_little_is_kept_out(stored_of):
    counters = RetrievalCounters()
    good = VectorIndex.of(stored_of("ivf_flat"))
    assert require_recall(good, counters=counters, name="content/2") == held_out_recall(good) >= 0.8
    assert counters.counts.swaps_blocked == 0

    with pytest.raises(RefusedModelError, match=r"^content/3: its index finds 0\.\d+ of the 20 best rows, 0\.99 were"):
        require_recall(VectorIndex.of(poor(stored_of("ivf_flat"))), counters=counters, name="content/3")
    assert counters.counts.swaps_blocked == 1


def test_an_index_without_held_out_queries_is_let_in(stored_of):
    unmeasured = replace(stored_of("flat"), recall=None)
    unasked = replace(poor(stored_of("ivf_flat")), queries=np.empty((0, DIMENSION), np.float32))
    for stored in (unmeasured, unasked):
        assert require_recall(VectorIndex.of(stored), counters=RetrievalCounters(), name="x") is None


def test_a_recall_just_below_what_was_asked_for_is_enough(stored_of):
    index = VectorIndex.of(stored_of("flat"))  # 0.8 of the 20 best rows
    assert [finds_enough(index, recall) for recall in (None, 0.8, 0.792, 0.788)] == [True, True, True, False]


@pytest.mark.parametrize("retrain", [False, True])
def test_a_compaction_that_would_lower_recall_is_blocked(stored_of, retrain, caplog):
    counters = RetrievalCounters()
    narrow = replace(
        stored_of("ivf_flat"),
        settings=replace(stored_of("ivf_flat").settings, probes=1),
        recall=Recall(20, 1.0, 1.0, 40),
    )
    index = VectorIndex.of(narrow, counters=counters).with_vectors(np.asarray([3]), make_vectors(1, seed=2))

    with pytest.raises(RefusedModelError, match="content: its index finds"):
        compact(index, name="content", retrain=retrain)

    assert counters.counts.swaps_blocked == 1
    assert ("it is trained anew" in caplog.text) == (not retrain)
    assert index.search(make_vectors(1, seed=2), 1)[1].tolist() != [[PADDING]]


def test_vectors_that_moved_far_are_trained_anew(stored_of, caplog):
    """All vectors land where the old lists have one centre, so that these are of no more use."""
    moved = make_vectors(3000, seed=11) * 0.05 + 60 * np.eye(1, DIMENSION, dtype=np.float32)
    queries = make_vectors(40, seed=12) * np.asarray([0.0] + [1.0] * (DIMENSION - 1), np.float32)
    stored = stored_of("ivf_flat")
    stored = replace(
        stored, queries=queries, recall=Recall(20, 0.75, 0.8, 40), settings=replace(stored.settings, probes=4)
    )
    index = VectorIndex.of(stored).with_vectors(np.arange(3000), moved)

    for retrain in (True, False):
        compacted = compact(index, name="content", retrain=retrain)
        assert held_out_recall(compacted) >= 0.74
        assert ("it is trained anew" in caplog.text) == (not retrain)
