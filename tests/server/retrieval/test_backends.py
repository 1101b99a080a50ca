"""Devices: what owns one, what happens when it is missing or fails, and the graph that needs ONNX Runtime alone."""

from __future__ import annotations

import gc
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.settings import IndexSettings
from audotics.bundle.indexes.stored import StoredIndex
from audotics.exporters.graphs.top_k import top_k_model
from audotics.server.retrieval.backends.backend import DeviceError
from audotics.server.retrieval.backends.fallback import WithFallback, placer
from audotics.server.retrieval.backends.gpu import CPU, GpuFaiss, Placement, gpu_count
from audotics.server.retrieval.backends.onnx import OnnxTopK
from audotics.server.retrieval.backends.owner import OwnerThread
from audotics.server.retrieval.compaction import compact
from audotics.server.retrieval.counters import RetrievalCounters
from audotics.server.retrieval.vectors import VectorIndex
from tests.gpus import FAISS_TROUBLE, ONNX_TROUBLE, without_cuda, without_gpu


class Doubler:
    """Stands for an index: scores are twice the queries' first entries. Notes who called, and how much at once."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.batches: list[int] = []
        self.entered = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def make(self):
        self.threads.add(threading.get_ident())
        return self.search

    def search(self, queries, k):
        self.threads.add(threading.get_ident())
        self.batches.append(len(queries))
        self.entered.set()
        self.go.wait()
        if (queries < 0).any():
            raise RuntimeError("out of memory")
        rows = np.broadcast_to(np.arange(k), (len(queries), k))
        return np.repeat(2 * queries[:, :1], k, axis=1), rows


def test_one_thread_owns_the_index_and_answers_what_waits_in_one_call():
    index = Doubler()
    index.go.clear()
    owner = OwnerThread(index.make, name="owner")
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(owner.search, np.full((1, 2), 1.0, np.float32), 3)
        assert index.entered.wait(10)
        others = [pool.submit(owner.search, np.full((2, 2), i, np.float32), 3) for i in range(8)]
        while owner.waiting < 8:
            threading.Event().wait(0.001)
        index.go.set()
        assert first.result()[0].tolist() == [[2.0] * 3]
        for i, other in enumerate(others):
            scores, rows = other.result()
            assert scores.tolist() == [[2.0 * i] * 3] * 2
            assert rows.tolist() == [[0, 1, 2]] * 2
    owner.close()
    assert index.batches == [1, 16]
    assert len(index.threads) == 1
    assert threading.get_ident() not in index.threads


@pytest.mark.parametrize("depths", [1, 2])
def test_a_batch_has_a_limit_and_depths_are_kept_apart(depths):
    index = Doubler()
    index.go.clear()
    owner = OwnerThread(index.make, name="owner", limit_queries=4)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(owner.search, np.ones((1, 2), np.float32), 1)
        assert index.entered.wait(10)
        others = [pool.submit(owner.search, np.ones((1, 2), np.float32), 2 + i % depths) for i in range(8)]
        while owner.waiting < 8:
            threading.Event().wait(0.001)
        index.go.set()
        assert first.result()[1].shape == (1, 1)
        assert [other.result()[1].shape[1] for other in others] == [2 + i % depths for i in range(8)]
    owner.close()
    assert sum(index.batches) == 9
    assert max(index.batches) == 4 if depths == 1 else max(index.batches) < 4


def test_what_waits_is_answered_before_the_end():
    index = Doubler()
    index.go.clear()
    owner = OwnerThread(index.make, name="owner")
    with ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(owner.search, np.ones((1, 2), np.float32), 1)]
        assert index.entered.wait(10)
        searches += [pool.submit(owner.search, np.ones((1, 2), np.float32), 1) for _ in range(3)]
        while owner.waiting < 3:
            threading.Event().wait(0.001)
        owner.release()
        index.go.set()
        assert [search.result()[0].tolist() for search in searches] == [[[2.0]]] * 4
    owner.close()
    with pytest.raises(DeviceError, match="closed"):
        owner.search(np.ones((1, 2), np.float32), 1)


def test_errors_reach_the_caller_and_the_owner_goes_on():
    index = Doubler()
    owner = OwnerThread(index.make, name="owner")
    with pytest.raises(RuntimeError, match="out of memory"):
        owner.search(np.full((1, 2), -1, np.float32), 1)
    assert owner.search(np.ones((1, 2), np.float32), 1)[0].tolist() == [[2.0]]
    owner.close()
    owner.close()
    with pytest.raises(DeviceError, match="closed"):
        owner.search(np.ones((1, 2), np.float32), 1)


def test_what_cannot_be_made_is_said_by_the_constructor():
    def fail():
        raise RuntimeError("no memory for the vectors")

    with pytest.raises(RuntimeError, match="no memory for the vectors"):
        OwnerThread(fail, name="owner")


def test_a_gpu_that_is_not_there_is_said(stored_of):
    reason = f"no GPU for FAISS: {FAISS_TROUBLE}" if FAISS_TROUBLE else f"no GPU {gpu_count() + 3} for FAISS: it sees"
    with pytest.raises(DeviceError, match=re.escape(reason)):
        GpuFaiss(stored_of("flat"), placement=Placement((gpu_count() + 3,)))


@without_cuda
def test_a_missing_provider_is_said(stored_of):
    with pytest.raises(DeviceError, match=re.escape(ONNX_TROUBLE)):
        OnnxTopK(stored_of("flat"), device="cuda")


@without_gpu
def test_without_a_gpu_the_cpu_serves_and_says_so(stored_of, queries, caplog):
    counters = RetrievalCounters()
    with caplog.at_level(logging.WARNING):
        index = VectorIndex.of(stored_of("ivf_flat"), place=placer("cuda", counters=counters), counters=counters)

    assert counters.counts.device_fallbacks == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"an index of 3000 vectors is searched on the CPU: no GPU for FAISS: {FAISS_TROUBLE}; {ONNX_TROUBLE}"
    expected = stored_of("ivf_flat").search(queries, 10)[1]
    np.testing.assert_array_equal(index.search(queries, 10)[1], expected)


@without_gpu
def test_auto_takes_the_cpu_without_a_word(stored_of, caplog):
    counters = RetrievalCounters()
    assert placer("auto", counters=counters)(stored_of("flat")) is stored_of("flat")
    assert placer("cpu", counters=counters)(stored_of("flat")) is stored_of("flat")
    assert counters.counts.device_fallbacks == 0
    assert not caplog.records


class Failing:
    """A device that works until it is told to fail."""

    def __init__(self, stored: StoredIndex) -> None:
        self.stored = stored
        self.size = stored.size
        self.broken = False
        self.searches = 0

    def search(self, queries, k, *, selection=None, effort=1.0):
        self.searches += 1
        if self.broken:
            raise DeviceError("out of memory on device 0")
        return self.stored.search(queries, k, selection=selection, effort=effort)

    def close(self) -> None:
        self.stored = None


def test_a_device_that_fails_is_left_for_the_cpu_at_once_and_for_good(stored_of, queries, caplog):
    counters = RetrievalCounters()
    device = Failing(stored_of("flat"))
    index = VectorIndex.of(
        stored_of("flat"), place=lambda stored: WithFallback(stored, (lambda _: device,), counters=counters)
    )
    expected = index.search(queries, 10)[1]
    assert index.on_device
    device.broken = True

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: index.search(queries, 10)[1], range(40)))

    for rows in found:
        np.testing.assert_array_equal(rows, expected)
    assert not index.on_device
    assert device.stored is None  # it was given back
    assert counters.counts.device_fallbacks == 1
    assert caplog.text.count("out of memory on device 0") == 1
    searches = device.searches
    index.search(queries, 10)
    assert device.searches == searches
    index.close()


def test_searches_that_fail_together_leave_a_device_once(stored_of, queries, caplog):
    counters, together = RetrievalCounters(), threading.Barrier(2)

    class FailingTogether(Failing):
        def search(self, queries, k, *, selection=None, effort=1.0):
            together.wait(10)
            raise DeviceError("out of memory on device 0")

    backend = WithFallback(stored_of("flat"), (FailingTogether,), counters=counters)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(backend.search, queries, 3) for _ in range(2)]
        for each in found:
            np.testing.assert_array_equal(each.result()[1], stored_of("flat").search(queries, 3)[1])
    assert counters.counts.device_fallbacks == 1
    assert caplog.text.count("out of memory on device 0") == 1


def test_the_cpu_looks_as_far_as_the_device_was_asked_to(stored_of, queries):
    stored = stored_of("ivf_flat")
    stored = replace(stored, settings=replace(stored.settings, probes=1))
    backend = WithFallback(stored, (), counters=RetrievalCounters())
    wide = backend.search(queries, 10, effort=4.0)[1]
    np.testing.assert_array_equal(wide, stored.search(queries, 10, effort=4.0)[1])
    assert not np.array_equal(wide, stored.search(queries, 10)[1])


def test_an_index_that_is_closed_gives_its_device_back(stored_of):
    device = Failing(stored_of("flat"))
    counters = RetrievalCounters()
    index = VectorIndex.of(
        stored_of("flat"), place=lambda stored: WithFallback(stored, (lambda _: device,), counters=counters)
    )

    index.close()

    assert device.stored is None
    assert not index.on_device


def test_deletes_and_filters_hold_on_a_device(stored_of, table, queries):
    index = VectorIndex.of(stored_of("flat"), place=lambda stored: GpuFaiss(stored, placement=Placement((CPU, CPU))))
    gone = np.unique(index.search(queries, 3)[1])
    index = index.with_deleted(gone).with_vectors(np.asarray([3000]), 30 * queries[:1])

    rows = index.search(queries, 20)[1]

    assert not np.isin(rows, gone).any()
    assert rows[0, 0] == 3000
    exact = queries @ table.T
    exact[:, gone] = -np.inf
    assert set(rows[1].tolist()) - {3000} <= set(np.argsort(-exact[1])[:20].tolist())
    index.close()


def owners() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "gpu-index"]


def test_an_index_leaves_its_device_when_its_last_reader_leaves(stored_of, queries):
    """Nobody closes a snapshot: who searches it is known to nobody."""
    before = owners()

    def place(stored):
        return WithFallback(stored, (lambda _: GpuFaiss(stored, placement=Placement((CPU,))),), counters=counters)

    counters = RetrievalCounters()
    index = VectorIndex.of(build_index(queries, IndexSettings(), threads=1), place=place)
    reader = index
    for row in range(5):
        index = compact(index.with_vectors(np.asarray([row]), queries[:1]), name="content/1", place=place)
    gc.collect()
    left = [thread for thread in owners() if thread not in before]
    for thread in left[1:-1]:
        thread.join(10)
    assert [thread.is_alive() for thread in left] == [True, *[False] * (len(left) - 2), True]
    assert reader.search(queries[:1], 3)[1].shape == (1, 3)

    del index, reader
    gc.collect()
    for thread in left:
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)
    assert counters.counts.device_fallbacks == 0


@pytest.mark.parametrize("hidden", [0, 2500])
def test_more_than_a_gpu_finds_at_once_are_found_all_the_same(stored_of, table, queries, hidden):
    """FAISS's searches on GPUs end at 2,048 rows, and leave none out."""
    index = VectorIndex.of(stored_of("flat"), place=lambda stored: GpuFaiss(stored, placement=Placement((CPU,))))
    gone = np.argsort(-(table @ queries[0]))[:hidden]
    index = index.with_deleted(gone)

    for k in (100, 3000):
        rows = index.search(queries[:1], k)[1]
        best = np.argsort(-(table @ queries[0]), kind="stable")[hidden:][:k]
        assert set(rows[0][rows[0] >= 0].tolist()) == set(best.tolist())
    index.close()


def test_numbers_far_below_nothing_are_brought_into_the_range_of_float16_too(table, queries):
    low = build_index(-1e6 * np.abs(table) - 1, IndexSettings(), threads=1)
    backend = GpuFaiss(low, placement=Placement((CPU,)))
    scores, rows = backend.search(queries, 10)
    exact = np.sort(queries @ np.asarray(low.vectors).T, axis=1)[:, ::-1][:, :10]
    np.testing.assert_allclose(scores, exact, rtol=1e-5)
    assert (rows >= 0).all()
    backend.close()


def test_many_queries_are_compared_in_several_runs(table, queries):
    stored = build_index(table, IndexSettings(), threads=1)
    many = np.concatenate([queries] * 5)  # 200, of which a GPU takes 64 at a time
    for backend in (
        GpuFaiss(stored, placement=Placement((CPU,))),
        OnnxTopK(stored, device="cpu", product_bytes=1 << 18),
        OnnxTopK(stored, device="cpu", product_bytes=1),  # less than one query takes
    ):
        np.testing.assert_array_equal(backend.search(many, 10)[1], np.concatenate([stored.search(queries, 10)[1]] * 5))
        backend.close()


def test_the_committed_graph_is_the_one_that_the_exporter_writes():
    committed = files("audotics.server.retrieval.backends").joinpath("top_k.onnx").read_bytes()
    assert committed == top_k_model().SerializeToString(deterministic=True)
