"""An immutable snapshot of one vector index: queries go in, the best rows and their inner products come out.

A FAISS index and its vectors come from disk and are never written to. What changed since stands beside them: an exact
delta of new vectors and a set of deleted rows. A change makes a new snapshot that shares everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

from audotics.server.errors import RefusedModelError

PADDING: Final = -1
"""Stands, with a score of -inf, at the end of a result that has fewer rows than were asked for."""

INDEX_FILE: Final = "index.faiss"
VECTORS_FILE: Final = "vectors.npy"


@dataclass(frozen=True, slots=True, eq=False)
class _Delta:
    """Vectors that replace or extend those on disk. `rows` is int64 (m,), ascending; `vectors` float32 (m, d)."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def merged(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> _Delta:
        all_rows = np.concatenate([rows, self.rows])
        unique, first = np.unique(all_rows, return_index=True)
        return _Delta(unique, np.concatenate([vectors, self.vectors])[first])


@dataclass(frozen=True, slots=True, eq=False)
class VectorIndex:
    """Rows 0 .. size-1 with a vector each. Make one with `open`; safe to search from several threads at once."""

    _index: faiss.Index
    _base: NDArray[np.float32]
    _delta: _Delta
    _live_delta: _Delta
    _deleted: NDArray[np.int64]
    _parameters: faiss.SearchParameters | None

    @classmethod
    def open(cls, folder: Path) -> VectorIndex:
        """Read `index.faiss` and map `vectors.npy` of a bundle's folder.

        Raises RefusedModelError when they cannot be read, do not agree, or do not search by inner product.
        """
        where = f"{folder.parent.name}/{folder.name}"
        try:
            index = faiss.read_index(str(folder / INDEX_FILE))
            # A plain view of the map: taking rows of np.memmap itself costs several times as much.
            base = np.asarray(np.load(folder / VECTORS_FILE, mmap_mode="r"))
        except (RuntimeError, OSError, ValueError) as error:
            raise RefusedModelError(f"{where}: its vector index cannot be read; export the model again") from error
        if base.ndim != 2 or base.dtype != np.float32 or base.shape != (index.ntotal, index.d):
            raise RefusedModelError(
                f"{where}: {INDEX_FILE} holds {index.ntotal} vectors of {index.d}, {VECTORS_FILE} is {base.dtype} of "
                f"{base.shape}; export the model again"
            )
        if index.ntotal == 0:
            raise RefusedModelError(f"{where}: its vector index is empty; export a model that was trained on tracks")
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise RefusedModelError(f"{where}: {INDEX_FILE} does not search by inner product; export the model again")
        nothing = _Delta(np.empty(0, np.int64), np.empty((0, index.d), np.float32))
        return cls(index, base, nothing, nothing, np.empty(0, np.int64), None)

    @property
    def dimension(self) -> int:
        return int(self._base.shape[1])

    @property
    def size(self) -> int:
        """One above the highest row that has a vector; deleted rows count."""
        return max(len(self._base), int(self._delta.rows[-1]) + 1 if len(self._delta.rows) else 0)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k rows with the highest inner product for each query, best first.

        `queries` is float32 (q, d). Returns scores (q, k') and rows (q, k'), k' at most k; where a query finds fewer
        rows, the end is filled with -inf and PADDING. Deleted rows never come back.
        """
        k = min(k, self.size)
        faiss.omp_set_num_threads(1)  # OpenMP keeps this a thread; the caller's executor is the thread budget
        scores, rows = self._index.search(queries, min(k, self._index.ntotal), params=self._parameters)
        scores[rows < 0] = -np.inf
        if len(self._live_delta.rows):
            exact = queries @ self._live_delta.vectors.T
            rows = np.concatenate([rows, np.broadcast_to(self._live_delta.rows, exact.shape)], axis=1)
            scores = np.concatenate([scores, exact], axis=1)
            best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            scores, rows = np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
        return scores, rows

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors float32 (n, d) of `rows` (n,), each in 0 .. size-1, deleted ones too."""
        if not len(self._delta.rows):
            return self._base.take(rows, axis=0)
        result = self._base.take(np.minimum(rows, len(self._base) - 1), axis=0)
        position = np.minimum(np.searchsorted(self._delta.rows, rows), len(self._delta.rows) - 1)
        changed = self._delta.rows[position] == rows
        result[changed] = self._delta.vectors[position[changed]]
        return result

    def with_vectors(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> VectorIndex:
        """The index in which `rows` (n,), known or new, have `vectors` (n, d). New rows continue at `size`."""
        return self._changed(self._delta.merged(rows, vectors), self._deleted)

    def with_deleted(self, rows: NDArray[np.int64]) -> VectorIndex:
        """The index in which exactly `rows` (n,) are deleted; those deleted before and not named are back."""
        return self._changed(self._delta, np.unique(rows))

    def _changed(self, delta: _Delta, deleted: NDArray[np.int64]) -> VectorIndex:
        live = ~np.isin(delta.rows, deleted)
        return replace(
            self,
            _delta=delta,
            _live_delta=_Delta(delta.rows[live], delta.vectors[live]),
            _deleted=deleted,
            _parameters=_parameters(self._index, hidden=np.union1d(delta.rows, deleted)),
        )


def _parameters(index: faiss.Index, *, hidden: NDArray[np.int64]) -> faiss.SearchParameters | None:
    """Search settings of the file, and a selector that leaves out the `hidden` rows."""
    hidden = hidden[hidden < index.ntotal]
    if not len(hidden):
        return None
    shown = np.ones(index.ntotal, np.bool_)
    shown[hidden] = False
    native: Any = faiss  # its type stubs do not know the constructors that its Python layer adds
    selector = native.IDSelectorBitmap(np.packbits(shown, bitorder="little"))
    parameters: faiss.SearchParameters
    if isinstance(index, native.IndexHNSW):
        parameters = native.SearchParametersHNSW(sel=selector, efSearch=index.hnsw.efSearch)
    elif isinstance(index, native.IndexIVF):
        parameters = native.SearchParametersIVF(sel=selector, nprobe=index.nprobe)
    else:
        parameters = native.SearchParameters(sel=selector)
    return parameters
