"""An immutable snapshot of one vector index: queries go in, the best rows and their scores come out.

What lies on disk is never written to. What changed since stands beside it: an exact delta of new vectors and a set of
deleted rows. A change makes a new snapshot that shares everything else, so it is seen by the next search. A snapshot is
dropped, with the files it maps, when the last reader lets go of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.indexes.exact import PADDING, are_comparable, best_of, exact_among, exact_search, recall_of
from audotics.bundle.indexes.native import faiss
from audotics.bundle.indexes.selection import RowSelection
from audotics.bundle.indexes.stored import INDEX_FILE, VECTORS_FILE, StoredIndex
from audotics.server.errors import RefusedModelError
from audotics.server.retrieval.backends.backend import Backend
from audotics.server.retrieval.backends.fallback import WithFallback
from audotics.server.retrieval.counters import RetrievalCounters
from audotics.server.retrieval.guard import RecallGuard
from audotics.server.retrieval.interests import merge_interests

__all__ = ["INDEX_FILE", "PADDING", "VECTORS_FILE", "VectorIndex"]

_EXACT_ROWS: Final = 4_000
_EXACT_SHARE: Final = 0.02
"""Up to so many matching rows, or such a share of all, a filtered search compares each: as fast, and never wrong."""

_MOST_EFFORT: Final = 8.0
"""How much more a search looks at, at most, because a filter or deleted rows leave it with few."""


@dataclass(frozen=True, slots=True, eq=False)
class _Delta:
    """Vectors that replace or extend those on disk. `rows` is int64 (m,), ascending; `vectors` float32 (m, d)."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]

    @classmethod
    def empty(cls, dimension: int) -> _Delta:
        return cls(np.empty(0, np.int64), np.empty((0, dimension), np.float32))

    def merged(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> _Delta:
        """Of a row that is named twice the last vector stays."""
        all_rows = np.concatenate([rows[::-1], self.rows])
        unique, first = np.unique(all_rows, return_index=True)
        return _Delta(unique, np.concatenate([vectors[::-1], self.vectors])[first])

    def without(self, other: _Delta) -> _Delta:
        """What is not, with the same vector, in `other`."""
        if not len(self.rows) or not len(other.rows):
            return self
        place = np.minimum(np.searchsorted(other.rows, self.rows), len(other.rows) - 1)
        same = (other.rows[place] == self.rows) & (other.vectors[place] == self.vectors).all(axis=1)
        return _Delta(self.rows[~same], self.vectors[~same])


@dataclass(frozen=True, slots=True, eq=False)
class VectorIndex:
    """Rows 0 .. size-1 with a vector each. Make one with `open` or `of`; safe to search from several threads at once.

    `stored` is what lies on disk; `guard`, where there is one, samples searches to measure their recall.
    """

    stored: StoredIndex
    guard: RecallGuard | None
    counters: RetrievalCounters
    _backend: Backend
    _delta: _Delta
    _live_delta: _Delta
    _deleted: NDArray[np.int64]
    _live_count: int
    _selection: RowSelection | None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        place: Callable[[StoredIndex], Backend] = lambda stored: stored,
        guard: RecallGuard | None = None,
        counters: RetrievalCounters | None = None,
    ) -> VectorIndex:
        """Map the index of a bundle's folder. `place` puts it where it is searched, by default on the CPU.

        Raises RefusedModelError when its files cannot be read, do not agree, or do not search by inner product.
        """
        try:
            stored = StoredIndex.open(folder)
        except BundleCorruptError as error:
            raise RefusedModelError(str(error)) from error
        return cls.of(stored, place=place, guard=guard, counters=counters)

    @classmethod
    def of(
        cls,
        stored: StoredIndex,
        *,
        place: Callable[[StoredIndex], Backend] = lambda stored: stored,
        guard: RecallGuard | None = None,
        counters: RetrievalCounters | None = None,
    ) -> VectorIndex:
        """A snapshot of `stored` without changes."""
        nothing = _Delta.empty(stored.dimension)
        return cls(
            stored,
            guard,
            RetrievalCounters() if counters is None else counters,
            place(stored),
            nothing,
            nothing,
            np.empty(0, np.int64),
            stored.size,
            None,
        )

    @property
    def dimension(self) -> int:
        return self.stored.dimension

    @property
    def size(self) -> int:
        """One above the highest row that has a vector; deleted rows count."""
        return max(self.stored.size, int(self._delta.rows[-1]) + 1 if len(self._delta.rows) else 0)

    @property
    def delta_size(self) -> int:
        """Rows whose vector is not in the index, so that every search compares each of them."""
        return len(self._delta.rows)

    @property
    def on_device(self) -> bool:
        """Whether a GPU searches it."""
        return isinstance(self._backend, WithFallback) and self._backend.on_device

    @property
    def live_count(self) -> int:
        """Rows that can be found."""
        return self._live_count

    @property
    def deleted(self) -> NDArray[np.int64]:
        """Deleted rows, ascending."""
        return self._deleted

    def search(
        self, queries: NDArray[np.float32], k: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k rows with the highest scores for each query, best first.

        `queries` is float32 (q, d); `allowed`, bool (size,), names the rows that may be found. Returns scores (q, k')
        and rows (q, k'), k' at most k; the end is filled with -inf and PADDING where there are fewer rows. As many as
        asked are found while there are so many, and deleted rows never come back. Raises ValueError for queries of
        another dimension, and for a mask of another size.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise ValueError(f"'queries' have the shape {queries.shape}; the index has vectors of {self.dimension}")
        if k < 1:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        k = min(k, self.size)
        queries = self.stored.prepared(np.ascontiguousarray(queries, np.float32))
        self.counters.add("searches", len(queries))
        if allowed is not None:
            return self._filtered(queries, k, allowed)
        found = self._indexed(queries, k, self._selection, self._live_delta, effort=1.0)
        wanted = min(k, self._live_count)
        if _fewest(found[1]) < wanted:
            shown = self._live_rows()
            found = self._completed(queries, k, found, shown, self._selection, self._live_delta, wanted, effort=1.0)
        if self.guard is not None:
            self.guard.offer(self.stored, self.recall, queries, found[1])
        return found

    def search_together(
        self, queries: NDArray[np.float32], k: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """At most k distinct rows (m,) and their scores for all of one listener's `queries`, by `merge_interests`.

        Each is searched for k rows, so that there are k of them when so many rows may be found.
        """
        return merge_interests(*self.search(queries, k, allowed=allowed), k)

    def exact(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As `search`, but every row is compared. What recall is measured against."""
        queries = self.stored.prepared(queries)
        if self._selection is None and not self.delta_size:
            faiss.omp_set_num_threads(1)  # as in a search
            return exact_search(queries, self.stored.vectors, k)
        return exact_among(queries, np.flatnonzero(self._live_rows()), k, gather=self.vectors)

    def recall(self, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> float:
        """Share of the k best rows that are among `rows` (q, k), which were found for `queries` (q, d).

        It is 1 where nothing is left to be found.
        """
        best = self.exact(queries, rows.shape[1])[0]
        if not best.size:
            return 1.0
        found = np.unique(rows[rows >= 0])
        places = np.where(rows >= 0, np.searchsorted(found, rows), -1)
        places = places[:, : best.shape[1]]
        return recall_of(places, self.stored.prepared(queries), self.vectors(found), kth_best=best[:, -1])

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors float32 (n, d) of `rows` (n,), each in 0 .. size-1, deleted ones too."""
        base = self.stored.vectors
        if not len(self._delta.rows):
            return base.take(rows, axis=0)
        result = base.take(np.minimum(rows, len(base) - 1), axis=0)
        position = np.minimum(np.searchsorted(self._delta.rows, rows), len(self._delta.rows) - 1)
        changed = self._delta.rows[position] == rows
        result[changed] = self._delta.vectors[position[changed]]
        return result

    def with_vectors(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> VectorIndex:
        """The index in which `rows` (n,), known or new, have `vectors` (n, d). New rows continue at `size`.

        Of a row that is named twice the last vector counts. Raises ValueError when the vectors do not fit the rows or
        the index, are not finite or too large, or leave a row between without one.
        """
        if vectors.shape != (len(rows), self.dimension):
            raise ValueError(f"{len(rows)} rows have vectors of the shape {vectors.shape}; needs {self.dimension} each")
        vectors = self.stored.prepared(vectors)
        if not are_comparable(vectors):
            raise ValueError("a vector has a number that is none, or too large to compare")
        known = np.unique(rows)
        if len(known) and (known[0] < 0 or known[-1] >= self.size + np.count_nonzero(known >= self.size)):
            raise ValueError(f"rows {known[0]} to {known[-1]} do not continue at {self.size}")
        return self._changed(self._delta.merged(rows, vectors), self._deleted)

    def with_deleted(self, rows: NDArray[np.int64]) -> VectorIndex:
        """The index in which exactly `rows` (n,) are deleted; those deleted before and not named are back."""
        return self._changed(self._delta, np.unique(rows))

    def carried_over(self, compacted: VectorIndex, *, since: VectorIndex) -> VectorIndex:
        """`compacted`, made of `since`, with what changed in this index after `since`."""
        return compacted._changed(self._delta.without(since._delta), self._deleted)

    def close(self) -> None:
        """Give back what is held on a device. Snapshots that share it must not be searched any more."""
        self._backend.close()

    def _changed(self, delta: _Delta, deleted: NDArray[np.int64]) -> VectorIndex:
        live = ~np.isin(delta.rows, deleted)
        hidden = np.union1d(delta.rows, deleted)
        hidden = hidden[hidden < self.stored.size]
        size = max(self.stored.size, int(delta.rows[-1]) + 1 if len(delta.rows) else 0)
        selection = None
        if len(hidden):
            shown = np.ones(self.stored.size, np.bool_)
            shown[hidden] = False
            selection = RowSelection.of(shown)
        return replace(
            self,
            _delta=delta,
            _live_delta=_Delta(delta.rows[live], delta.vectors[live]),
            _deleted=deleted,
            _live_count=size - int(np.count_nonzero(deleted < size)),
            _selection=selection,
        )

    def _live_rows(self) -> NDArray[np.bool_]:
        """bool (size,): rows that are not deleted."""
        shown = np.ones(self.size, np.bool_)
        shown[self._deleted[self._deleted < self.size]] = False
        return shown

    def _filtered(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if allowed.shape != (self.size,):
            raise ValueError(f"'allowed' has the shape {allowed.shape}; the index has {self.size} rows")
        matching = allowed & self._live_rows()
        count = int(np.count_nonzero(matching))
        if count <= max(_EXACT_ROWS, _EXACT_SHARE * self.size):
            self.counters.add("exact_filtered", len(queries))
            return exact_among(queries, np.flatnonzero(matching), k, gather=self.vectors)
        self.counters.add("indexed_filtered", len(queries))
        shown = matching[: self.stored.size].copy()
        shown[self._delta.rows[self._delta.rows < self.stored.size]] = False
        passing = matching.take(self._live_delta.rows)
        delta = _Delta(self._live_delta.rows[passing], self._live_delta.vectors[passing])
        selection = RowSelection.of(shown)
        effort = min(self.size / count, _MOST_EFFORT)
        found = self._indexed(queries, k, selection, delta, effort=effort)
        return self._completed(queries, k, found, matching, selection, delta, min(k, count), effort=effort)

    def _indexed(
        self,
        queries: NDArray[np.float32],
        k: int,
        selection: RowSelection | None,
        delta: _Delta,
        *,
        effort: float,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """What the index finds among the rows of `selection`, and the best of `delta`."""
        scores, rows = self._backend.search(queries, k, selection=selection, effort=effort)
        if len(delta.rows):
            exact = queries @ delta.vectors.T
            rows = np.concatenate([rows, np.broadcast_to(delta.rows, exact.shape)], axis=1)
            scores, rows = best_of(np.concatenate([scores, exact], axis=1), rows, k)
        return scores, rows

    def _completed(
        self,
        queries: NDArray[np.float32],
        k: int,
        found: tuple[NDArray[np.float32], NDArray[np.int64]],
        matching: NDArray[np.bool_],
        selection: RowSelection | None,
        delta: _Delta,
        wanted: int,
        *,
        effort: float,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """`found` when it holds matching rows only and enough of them; else what a wider or an exact search finds."""
        found = _only(found, matching)
        if _fewest(found[1]) >= wanted:
            return found
        self.counters.add("completed", len(queries))
        found = _only(self._indexed(queries, k, selection, delta, effort=effort * _MOST_EFFORT), matching)
        if _fewest(found[1]) >= wanted:
            return found
        return exact_among(queries, np.flatnonzero(matching), k, gather=self.vectors)


def _only(
    found: tuple[NDArray[np.float32], NDArray[np.int64]], matching: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What was `found`, without rows that do not match, should an index not heed its selection."""
    scores, rows = found
    wrong = (rows != PADDING) & ~matching.take(rows)
    if not wrong.any():
        return found
    return best_of(
        np.where(wrong, np.float32(-np.inf), scores), np.where(wrong, np.int64(PADDING), rows), rows.shape[1]
    )


def _fewest(rows: NDArray[np.int64]) -> int:
    """Rows that the query with the fewest has found."""
    if rows.size and rows[:, -1].min() != PADDING:
        return int(rows.shape[1])
    return int((rows != PADDING).sum(axis=1).min(initial=rows.shape[1]))
