"""Whatever is upserted, deleted, brought back and compacted in whatever order: a search gives what a table would."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.exact import PADDING
from audotics.bundle.indexes.settings import IndexKind, IndexSettings, Metric
from audotics.bundle.indexes.stored import StoredIndex, unit_length
from audotics.server.retrieval.backends.backend import Backend
from audotics.server.retrieval.backends.gpu import CPU, GpuFaiss, Placement, Spread
from audotics.server.retrieval.backends.onnx import OnnxTopK
from audotics.server.retrieval.compaction import compact
from audotics.server.retrieval.vectors import VectorIndex

ROWS, DIMENSION = 600, 8
SETTINGS = {
    "flat": IndexSettings(),
    "ivf_flat": IndexSettings(IndexKind.IVF_FLAT, lists=20, probes=1, head_rows=10),
    "ivf_pq": IndexSettings(IndexKind.IVF_PQ, lists=20, probes=1, code_parts=8, rescored=40, head_rows=10),
    "hnsw": IndexSettings(IndexKind.HNSW, links=8, width=8),
    "cosine": IndexSettings(metric=Metric.COSINE),
    "cosine_pq": IndexSettings(
        IndexKind.IVF_PQ, metric=Metric.COSINE, lists=20, probes=1, code_parts=8, rescored=40, head_rows=0
    ),
}
"""Narrow searches, which changes and filters leave short."""

DEVICES: dict[str, Callable[[StoredIndex], Backend]] = {
    "faiss": lambda stored: stored,
    "gpu_code": lambda stored: GpuFaiss(stored, placement=Placement((CPU, CPU), Spread.SHARDED)),
    "onnx": lambda stored: OnnxTopK(stored, device="cpu"),
}
CASES = [*((kind, "faiss") for kind in SETTINGS), ("flat", "gpu_code"), ("cosine", "gpu_code"), ("ivf_pq", "onnx")]

VECTORS = {
    "ordinary": lambda random, n: random.normal(size=(n, DIMENSION)),
    "long": lambda random, n: 30 * random.normal(size=(n, DIMENSION)),
    "short": lambda random, n: 1e-7 * random.normal(size=(n, DIMENSION)),
    "none": lambda random, n: np.zeros((n, DIMENSION)),
    "equal": lambda random, n: np.ones((n, DIMENSION)),
}

seeds = st.integers(0, 2**32 - 1)
sorts = st.sampled_from(sorted(VECTORS))


def unless_cosine(vectors: np.ndarray, stored: StoredIndex) -> np.ndarray:
    """`vectors` as the index compares them, so that scores are inner products."""
    return unit_length(vectors) if stored.settings.metric is Metric.COSINE else vectors


class Changes(RuleBasedStateMachine):
    """`table` and `deleted` are what the index should hold. A compaction may end many changes after it began."""

    stored: ClassVar[StoredIndex]
    place: ClassVar[Callable[[StoredIndex], Backend]]

    @initialize()
    def start(self) -> None:
        self.open: list[VectorIndex] = []
        self.serve(VectorIndex.of(self.stored, place=self.place))
        self.table = np.array(self.stored.vectors)
        self.deleted = np.zeros(len(self.table), np.bool_)
        self.compacting: VectorIndex | None = None

    def serve(self, index: VectorIndex) -> None:
        self.index = index
        self.open.append(index)

    def teardown(self) -> None:
        for index in self.open:
            index.close()

    @rule(seed=seeds, known=st.integers(0, 40), new=st.integers(0, 20), twice=st.booleans(), sort=sorts)
    def upsert(self, seed: int, known: int, new: int, twice: bool, sort: str) -> None:
        random = np.random.default_rng(seed)
        rows = np.concatenate([random.choice(len(self.table), known, False), len(self.table) + np.arange(new)])
        rows = np.concatenate([rows, rows[: len(rows) // 2]]) if twice else rows  # the last vector of a row counts
        vectors = unless_cosine(VECTORS[sort](random, len(rows)).astype(np.float32), self.stored)
        self.table = np.concatenate([self.table, np.zeros((new, DIMENSION), np.float32)])
        self.deleted = np.concatenate([self.deleted, np.zeros(new, np.bool_)])
        for row, vector in zip(rows, vectors, strict=True):
            self.table[row] = vector
        self.deleted[rows] = False
        self.index = self.index.with_vectors(rows, vectors).with_deleted(np.flatnonzero(self.deleted))

    @rule(seed=seeds, share=st.sampled_from([0.0, 0.02, 0.3, 0.9, 1.0]))
    def delete(self, seed: int, share: float) -> None:
        self.deleted |= np.random.default_rng(seed).random(len(self.deleted)) < share
        self.index = self.index.with_deleted(np.flatnonzero(self.deleted))

    @rule(seed=seeds)
    def bring_back(self, seed: int) -> None:
        self.deleted &= np.random.default_rng(seed).random(len(self.deleted)) < 0.5
        self.index = self.index.with_deleted(np.flatnonzero(self.deleted))

    @rule()
    def a_compaction_begins(self) -> None:
        self.compacting = self.index

    @precondition(lambda self: self.compacting is not None)
    @rule(retrain=st.booleans())
    def a_compaction_ends(self, retrain: bool) -> None:
        assert self.compacting is not None
        compacted = compact(self.compacting, name="content/1", retrain=retrain, place=self.place)
        self.serve(self.index.carried_over(compacted, since=self.compacting))
        self.compacting = None

    @rule(seed=seeds, k=st.sampled_from([1, 10, 300, 2000]), share=st.sampled_from([None, 0.0, 0.01, 0.5, 1.0]))
    def search(self, seed: int, k: int, share: float | None) -> None:
        random = np.random.default_rng(seed)
        queries = unless_cosine(random.normal(size=(2, DIMENSION)).astype(np.float32), self.stored)
        allowed = None if share is None else random.random(len(self.table)) < share
        scores, rows = self.index.search(queries, k, allowed=allowed)
        matching = ~self.deleted if allowed is None else allowed & ~self.deleted
        for query, row_scores, found in zip(queries, scores, rows, strict=True):
            hits = found[found != PADDING]
            assert len(hits) == len(set(hits.tolist())) == min(k, np.count_nonzero(matching))
            assert matching[hits].all()
            np.testing.assert_allclose(row_scores[: len(hits)], self.table[hits] @ query, rtol=1e-3, atol=1e-3)
            assert (np.diff(row_scores[: len(hits)]) <= 1e-3).all()

    @rule(seed=seeds, k=st.sampled_from([1, 20, 700]), share=st.sampled_from([None, 0.02, 0.6]))
    def search_for_several_interests(self, seed: int, k: int, share: float | None) -> None:
        random = np.random.default_rng(seed)
        queries = random.normal(size=(3, DIMENSION)).astype(np.float32)
        allowed = None if share is None else random.random(len(self.table)) < share
        rows = self.index.search_together(queries, k, allowed=allowed)[1]
        matching = ~self.deleted if allowed is None else allowed & ~self.deleted
        assert len(rows) == len(set(rows.tolist())) == min(k, np.count_nonzero(matching))
        assert matching[rows].all()

    @invariant()
    def the_index_holds_what_the_table_holds(self) -> None:
        assert self.index.size == len(self.table)
        np.testing.assert_array_equal(self.index.deleted, np.flatnonzero(self.deleted))
        # A compaction brings cosine's vectors to unit length again.
        np.testing.assert_allclose(self.index.vectors(np.arange(self.index.size)), self.table, rtol=1e-6)


@pytest.mark.parametrize(("kind", "device"), CASES)
def test_a_search_gives_what_a_table_would(kind: str, device: str) -> None:
    vectors = np.random.default_rng(3).normal(size=(ROWS, DIMENSION)).astype(np.float32)

    class Histories(Changes):
        stored = build_index(vectors, SETTINGS[kind], threads=1)
        place = staticmethod(DEVICES[device])

    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
