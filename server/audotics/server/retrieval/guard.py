"""The recall guard: live searches go in, the share of the best rows that they found comes out.

A sampled query is searched again exactly, on a thread of the guard's own, so that nobody waits for it.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.retrieval.counters import RetrievalCounters

Measure = Callable[[NDArray[np.float32], NDArray[np.int64]], float]
"""The recall of rows (q, k) that were found for queries (q, d)."""

_LOG: Final = logging.getLogger(__name__)
_WAITING: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    stored: StoredIndex
    measure: Measure
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

    def offer(
        self, stored: StoredIndex, measure: Measure, queries: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> None:
        """Maybe `measure` what `queries` (q, d) found, `rows` (q, k), in an index of `stored`. Returns at once."""
        if self._thread is None:
            return
        for query, found in zip(queries, rows, strict=True):
            if self._random.random() >= self._share:
                continue
            try:
                self._queue.put_nowait(_Sample(stored, measure, query[None].copy(), found[None].copy()))
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
                self._note(sample.stored, sample.measure(sample.query, sample.rows))
                self._counters.add("recall_samples")
            except Exception:
                _LOG.exception("a sampled query could not be searched again exactly")
            finally:
                self._queue.task_done()
                sample = None  # an index that is out of service must not be kept by the one who measures it


def _mean(recalls: Sequence[float]) -> float | None:
    return sum(recalls) / len(recalls) if recalls else None
