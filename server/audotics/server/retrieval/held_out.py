"""Recall with held-out queries: an index that came with some goes in; one that finds too little is kept out."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.errors import RefusedModelError
from audotics.server.retrieval.counters import RetrievalCounters
from audotics.server.retrieval.vectors import VectorIndex

_TOLERANCE: Final = 0.01
"""Held-out queries are some hundred, so that a recall measured with them is uncertain by about as much."""


def measured_recall(index: VectorIndex, queries: NDArray[np.float32], k: int) -> float:
    """Share of the k best rows that `index` finds for `queries` (q, d)."""
    unwatched = replace(index, guard=None, counters=RetrievalCounters())  # these are nobody's queries
    return index.recall(queries, unwatched.search(queries, k)[1])


def held_out_recall(index: VectorIndex) -> float | None:
    """Recall with the held-out queries that `index` came with; None where it came without."""
    recall, queries = index.stored.recall, index.stored.queries
    return measured_recall(index, queries, recall.k) if recall is not None and len(queries) else None


def finds_enough(index: VectorIndex, recall: float | None) -> bool:
    """Whether `recall`, held out, is about what `index` was built to reach; true where nothing was measured."""
    goal = index.stored.recall
    return recall is None or goal is None or recall >= goal.target - _TOLERANCE


def require_recall(index: VectorIndex, *, counters: RetrievalCounters, name: str) -> float | None:
    """`held_out_recall`, before `index` goes into service.

    Raises RefusedModelError, and counts a blocked swap, when it finds clearly less than it was built to.
    """
    recall, goal = held_out_recall(index), index.stored.recall
    if goal is None or recall is None or finds_enough(index, recall):
        return recall
    counters.add("swaps_blocked")
    raise RefusedModelError(
        f"{name}: its index finds {recall:.3f} of the {goal.k} best rows, {goal.target:g} were asked for; what was in "
        "service stays. Build another with `audotics index build`"
    )
