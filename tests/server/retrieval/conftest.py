"""Indexes of every kind over small tables of vectors, as the server searches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.settings import IndexKind, IndexSettings, Recall
from audotics.bundle.indexes.stored import StoredIndex

DIMENSION = 12
SETTINGS = {
    "flat": IndexSettings(),
    "ivf_flat": IndexSettings(IndexKind.IVF_FLAT, lists=24, probes=6, head_rows=40),
    "ivf_pq": IndexSettings(IndexKind.IVF_PQ, lists=24, probes=6, head_rows=40, code_parts=12, rescored=300),
    "hnsw": IndexSettings(IndexKind.HNSW, links=8, width=100),
}


def make_vectors(n: int, seed: int = 0) -> np.ndarray:
    """Clustered, and of lengths that differ."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(100).normal(size=(12, DIMENSION))
    vectors = centres[random.integers(0, 12, n)] + 0.6 * random.normal(size=(n, DIMENSION))
    return (vectors * np.exp(random.normal(0, 0.3, (n, 1)))).astype(np.float32)


@pytest.fixture(scope="session")
def table() -> np.ndarray:
    return make_vectors(3000)


@pytest.fixture(scope="session")
def queries() -> np.ndarray:
    return make_vectors(40, seed=1)


@pytest.fixture(scope="session")
def stored_of(table, queries) -> Callable[[str], StoredIndex]:
    """`stored_of(kind)`: an index over `table` that says it finds 80 % of the 20 best rows for `queries`."""
    made: dict[str, StoredIndex] = {}

    def make(kind: str) -> StoredIndex:
        if kind not in made:
            stored = build_index(table, SETTINGS[kind], threads=1)
            made[kind] = replace(stored, recall=Recall(20, 0.8, 0.9, len(queries)), queries=queries)
        return made[kind]

    return make
