"""Compaction: an index with many changes goes in, one that holds them in its lists comes out, or an error.

It runs beside the searches, on whatever thread calls it, and changes nothing that is in service. Rows keep their
numbers; deleted ones stay, hidden. Centroids and code books are kept at first. Where the vectors moved so far that the
index then finds too little, all is trained anew; where that does not help either, the index in service stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.retrieval.backends.backend import Backend
from audotics.server.retrieval.held_out import finds_enough, held_out_recall, require_recall
from audotics.server.retrieval.vectors import VectorIndex

_LOG: Final = logging.getLogger(__name__)
_CHANGED_ROWS: Final = 2_000
_CHANGED_SHARE: Final = 0.02


def needs_compaction(index: VectorIndex) -> bool:
    """Whether so many vectors stand beside the index that searches feel it."""
    return index.delta_size > max(_CHANGED_ROWS, _CHANGED_SHARE * index.stored.size)


def compact(
    index: VectorIndex,
    *,
    name: str,
    retrain: bool = False,
    threads: int = 1,
    place: Callable[[StoredIndex], Backend] = lambda stored: stored,
) -> VectorIndex:
    """The index without changes beside it. Blocking, for seconds to minutes.

    With `retrain`, all is trained anew at once. What changed meanwhile in the index in service is brought over with
    `current.carried_over(compacted, since=index)`. `name` stands in logs and errors. Raises RefusedModelError, and
    counts a blocked swap, when the new index finds less than the old one was built to.
    """
    vectors = index.vectors(np.arange(index.size))
    compacted = _rebuilt(index, vectors, trained=None if retrain else index.stored, threads=threads)
    recall = held_out_recall(compacted)
    if not finds_enough(compacted, recall) and retrain:
        require_recall(compacted, counters=index.counters, name=name)
    elif not finds_enough(compacted, recall):
        _LOG.warning("%s: with its old centroids the index finds %.3f; it is trained anew", name, recall)
        compacted = _rebuilt(index, vectors, trained=None, threads=threads)
        recall = require_recall(compacted, counters=index.counters, name=name)
    _LOG.info("%s: %d changed vectors are in the index, recall %s", name, index.delta_size, _percent(recall))
    moved = VectorIndex.of(compacted.stored, place=place, guard=index.guard, counters=index.counters)
    return moved.with_deleted(index.deleted)


def _rebuilt(
    index: VectorIndex, vectors: NDArray[np.float32], *, trained: StoredIndex | None, threads: int
) -> VectorIndex:
    stored = build_index(vectors, index.stored.settings, threads=threads, trained=trained)
    stored = replace(stored, recall=index.stored.recall, queries=index.stored.queries)
    return VectorIndex.of(stored, counters=index.counters).with_deleted(index.deleted)


def _percent(recall: float | None) -> str:
    return "not measured" if recall is None else f"{recall:.1%}"
