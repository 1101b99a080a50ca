"""The recall guard: searches go in, the share of the best rows that they found comes out; a poor index is kept out.

A sampled query is searched again exactly, on a thread of the guard's own, so that nobody waits for it.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.exact import recall_of
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.errors import RefusedModelError
from audotics.server.retrieval.counters import RetrievalCounters

if TYPE_CHECKING:
    from audotics.server.retrieval.vectors import VectorIndex

_LOG: Final = logging.getLogger(__name__)
_WAITING: Final = 64
_TOLERANCE: Final = 0.01
"""Held-out queries are some hundred, so that a recall measured with them is uncertain by about as much."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    index: VectorIndex
    query: NDArray[np.float32]
    rows: NDArray[np.int64]


class RecallGuard:
    """Measures the recall of live searches. Use it as a context manager; outside, it samples nothing."""

    def __init__(self, *, share: float, counters: RetrievalCounters, window: int = 1000, seed: int = 0) -> None:
        """`share` of all queries are measured, 0..1; the recall is that of the last `window` of them."""
        if not 0 <= share <= 1:
            raise ValueError(f"'share' is {share}; it must be 0 to 1")
        self._share = share
        self._counters = counters
        self._random = random.Random(seed)
        self._recalls: deque[float] = deque(maxlen=window)
        self._of_index: WeakKeyDictionary[StoredIndex, deque[float]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._queue: queue.Queue[_Sample | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._measure, name="recall-guard", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    @property
    def recall(self) -> float | None:
        """Mean recall of the last sampled queries, None before the first."""
        return _mean(tuple(self._recalls))

    @property
    def share(self) -> float:
        """Share of all queries that are measured."""
        return self._share

    def recall_of(self, stored: StoredIndex) -> tuple[float | None, int]:
        """Mean recall of the last sampled queries of one index, with whatever changed beside it, and their number."""
        with self._lock:
            recalls = tuple(self._of_index.get(stored, ()))
        return _mean(recalls), len(recalls)

    def offer(self, index: VectorIndex, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Maybe measure what `queries` (q, d) found, `rows` (q, k), in `index`. Returns at once."""
        if self._thread is None or not rows.shape[1]:
            return
        for query, found in zip(queries, rows, strict=True):
            if self._random.random() >= self._share:
                continue
            try:
                self._queue.put_nowait(_Sample(index, query[None].copy(), found[None].copy()))
            except queue.Full:
                self._counters.add("recall_skipped")

    def drain(self) -> None:
        """Wait until everything sampled so far is measured."""
        self._queue.join()

    def _note(self, stored: StoredIndex, recall: float) -> None:
        self._recalls.append(recall)
        with self._lock:
            self._of_index.setdefault(stored, deque(maxlen=self._recalls.maxlen)).append(recall)

    def _measure(self) -> None:
        while True:
            sample = self._queue.get()
            try:
                if sample is None:
                    return
                self._note(sample.index.stored, _recall(sample.index, sample.query, sample.rows))
                self._counters.add("recall_samples")
            except Exception:
                _LOG.exception("a sampled query could not be searched again exactly")
            finally:
                self._queue.task_done()
                sample = None  # an index that is out of service must not be kept by the one who measures it


def _mean(recalls: Sequence[float]) -> float | None:
    return sum(recalls) / len(recalls) if recalls else None


def measured_recall(index: VectorIndex, queries: NDArray[np.float32], k: int) -> float:
    """Share of the k best rows that `index` finds for `queries` (q, d)."""
    unwatched = replace(index, guard=None, counters=RetrievalCounters())  # these are nobody's queries
    return _recall(index, queries, unwatched.search(queries, k)[1])


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


def _recall(index: VectorIndex, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> float:
    best = index.exact(queries, rows.shape[1])[0]
    found = np.unique(rows[rows >= 0])
    places = np.where(rows >= 0, np.searchsorted(found, rows), -1)
    places = places[:, : best.shape[1]]
    return recall_of(places, index.stored.prepared(queries), index.vectors(found), kth_best=best[:, -1])
