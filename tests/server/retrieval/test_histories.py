"""Whatever is upserted, deleted, brought back and compacted in whatever order: a search gives what a table would."""

from __future__ import annotations

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
from audotics.bundle.indexes.settings import IndexKind, IndexSettings
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.retrieval.compaction import compact
from audotics.server.retrieval.vectors import VectorIndex

ROWS, DIMENSION = 600, 8
SETTINGS = {
    "flat": IndexSettings(),
    "ivf_flat": IndexSettings(IndexKind.IVF_FLAT, lists=20, probes=1, head_rows=10),
    "ivf_pq": IndexSettings(IndexKind.IVF_PQ, lists=20, probes=1, code_parts=8, rescored=40, head_rows=10),
    "hnsw": IndexSettings(IndexKind.HNSW, links=8, width=8),
}
"""Narrow searches, which changes and filters leave short."""

seeds = st.integers(0, 2**32 - 1)


class Changes(RuleBasedStateMachine):
    """`table` and `deleted` are what the index should hold. A compaction may end many changes after it began."""

    stored: ClassVar[StoredIndex]

    @initialize()
    def start(self) -> None:
        self.index = VectorIndex.of(self.stored)
        self.table = np.array(self.stored.vectors)
        self.deleted = np.zeros(len(self.table), np.bool_)
        self.compacting: VectorIndex | None = None

    @rule(seed=seeds, known=st.integers(0, 40), new=st.integers(0, 20), long=st.booleans())
    def upsert(self, seed: int, known: int, new: int, long: bool) -> None:
        random = np.random.default_rng(seed)
        rows = np.concatenate([random.choice(len(self.table), known, False), len(self.table) + np.arange(new)])
        vectors = ((30 if long else 1) * random.normal(size=(len(rows), DIMENSION))).astype(np.float32)
        self.table = np.concatenate([self.table, np.zeros((new, DIMENSION), np.float32)])
        self.deleted = np.concatenate([self.deleted, np.zeros(new, np.bool_)])
        self.table[rows] = vectors
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
        compacted = compact(self.compacting, name="content/1", retrain=retrain)
        self.index = self.index.carried_over(compacted, since=self.compacting)
        self.compacting = None

    @rule(seed=seeds, k=st.sampled_from([1, 10, 300, 2000]), share=st.sampled_from([None, 0.0, 0.01, 0.5, 1.0]))
    def search(self, seed: int, k: int, share: float | None) -> None:
        random = np.random.default_rng(seed)
        queries = random.normal(size=(2, DIMENSION)).astype(np.float32)
        allowed = None if share is None else random.random(len(self.table)) < share
        scores, rows = self.index.search(queries, k, allowed=allowed)
        matching = ~self.deleted if allowed is None else allowed & ~self.deleted
        for query, row_scores, found in zip(queries, scores, rows, strict=True):
            hits = found[found != PADDING]
            assert len(hits) == len(set(hits.tolist())) == min(k, np.count_nonzero(matching))
            assert matching[hits].all()
            np.testing.assert_allclose(row_scores[: len(hits)], self.table[hits] @ query, rtol=1e-3, atol=1e-3)
            assert (np.diff(row_scores[: len(hits)]) <= 1e-3).all()

    @invariant()
    def the_index_holds_what_the_table_holds(self) -> None:
        assert self.index.size == len(self.table)
        np.testing.assert_array_equal(self.index.deleted, np.flatnonzero(self.deleted))
        np.testing.assert_array_equal(self.index.vectors(np.arange(self.index.size)), self.table)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_search_gives_what_a_table_would(kind: str) -> None:
    vectors = np.random.default_rng(3).normal(size=(ROWS, DIMENSION)).astype(np.float32)

    class Histories(Changes):
        stored = build_index(vectors, SETTINGS[kind], threads=1)

    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
