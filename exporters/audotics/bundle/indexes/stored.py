"""An index as it lies in a bundle: a folder goes in; queries go in, the best rows and their scores come out.

Large `index.faiss` and `vectors.npy` are mapped, not read: what no search touches takes no memory. `head.npy` names the
longest vectors, which are compared exactly. For inner products they need to be: lists and codes are made for what is
near to each other, but a vector many times longer than most is the answer to half of all queries wherever they point.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.indexes.exact import PADDING, are_comparable, best_of, scores_of
from audotics.bundle.indexes.native import faiss
from audotics.bundle.indexes.selection import RowSelection
from audotics.bundle.indexes.settings import IndexKind, IndexSettings, Metric, Recall, read_settings, write_settings

INDEX_FILE: Final = "index.faiss"
VECTORS_FILE: Final = "vectors.npy"
HEAD_FILE: Final = "head.npy"
QUERIES_FILE: Final = "queries.npy"

_MAPPED_BYTES: Final = 64 * 1024 * 1024
"""Files of so many bytes together are mapped. Smaller ones are read, since whoever overwrites a mapped file in place
ends the process that looks at it."""

_READ_ONLY: Final = 0o444

_CHUNK: Final = 1 << 20
"""Numbers that are looked at in one go."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class StoredIndex:
    """Rows 0 .. size-1 with a vector each, never written to; safe to search from several threads at once.

    `vectors` is float32 (n, d). `queries` (q, d) are the held-out ones that `recall` was measured with; where nothing
    was measured there are none and `recall` is None.
    """

    settings: IndexSettings
    vectors: NDArray[np.float32]
    recall: Recall | None
    queries: NDArray[np.float32]
    _index: Any
    _head: _Head | None

    @classmethod
    def of(
        cls,
        index: Any,
        vectors: NDArray[np.float32],
        head: NDArray[np.int64],
        settings: IndexSettings,
        *,
        recall: Recall | None = None,
        queries: NDArray[np.float32] | None = None,
    ) -> StoredIndex:
        """Put together what `build_index` made. `head` (h,), ascending, are rows that `index` does not hold."""
        if queries is None:
            queries = np.empty((0, vectors.shape[1]), np.float32)
        if settings.kind in (IndexKind.FLAT, IndexKind.HNSW):  # these hold the vectors themselves
            vectors = _vectors_within(index, otherwise=vectors)
        return cls(settings, vectors, recall, queries, index, _Head.of(head, vectors) if len(head) else None)

    @classmethod
    def open(cls, folder: Path) -> StoredIndex:
        """Map or read the files in `folder`. Without `index.json` the index is searched as FAISS itself would.

        Raises BundleCorruptError when they cannot be read, do not agree, or do not search by inner product.
        """
        where = f"{folder.parent.name}/{folder.name}"
        described = read_settings(folder)
        try:
            maps = _maps(folder)
            index = faiss.read_index(str(folder / INDEX_FILE), getattr(faiss, "IO_FLAG_MMAP_IFC", 0) if maps else 0)
            mapped = np.load(folder / VECTORS_FILE, mmap_mode="r")
            # A plain view of the map: taking rows of np.memmap itself costs several times as much.
            vectors = np.asarray(mapped) if maps else np.array(mapped)
            vectors.setflags(write=False)
            settings, recall = described or (_settings_of(index), None)
            head = np.load(folder / HEAD_FILE) if settings.head_rows else np.empty(0, np.int64)
            measured = (folder / QUERIES_FILE).exists()
            queries = np.load(folder / QUERIES_FILE) if measured else np.empty((0, index.d), np.float32)
        except (RuntimeError, OSError, ValueError, TokenError) as error:  # the last for headers that end too early
            raise BundleCorruptError(f"{where}: its vector index cannot be read; export the model again") from error
        if vectors.ndim != 2 or vectors.dtype != np.float32 or vectors.shape != (index.ntotal + len(head), index.d):
            raise BundleCorruptError(
                f"{where}: {INDEX_FILE} holds {index.ntotal} vectors of {index.d}, {VECTORS_FILE} is {vectors.dtype} "
                f"of {vectors.shape}; export the model again"
            )
        if not len(vectors):
            raise BundleCorruptError(f"{where}: its vector index is empty; export a model that was trained on tracks")
        if not _are_comparable(folder / VECTORS_FILE, mapped):
            raise BundleCorruptError(
                f"{where}: {VECTORS_FILE} has numbers that are none, or too large to compare; train the model again"
            )
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise BundleCorruptError(f"{where}: {INDEX_FILE} does not search by inner product; export the model again")
        fits = isinstance(index, _CLASSES[settings.kind])
        fits &= head.dtype == np.int64 and head.shape == (settings.head_rows,) and _are_rows(head, len(vectors))
        fits &= queries.dtype == np.float32 and queries.ndim == 2 and queries.shape[1] == index.d
        if not fits:
            raise BundleCorruptError(f"{where}: {INDEX_FILE} is not what its settings say; export the model again")
        return cls.of(index, vectors, head, settings, recall=recall, queries=queries)

    def save(self, folder: Path) -> None:
        """Write everything that `open` reads. What it maps is read-only then; an index that was there is replaced."""
        for name in (INDEX_FILE, VECTORS_FILE):
            (folder / name).unlink(missing_ok=True)
        np.save(folder / VECTORS_FILE, self.vectors)
        faiss.write_index(self._index, str(folder / INDEX_FILE))
        if _maps(folder):
            for name in (INDEX_FILE, VECTORS_FILE):
                (folder / name).chmod(_READ_ONLY)
        if self._head is not None:
            np.save(folder / HEAD_FILE, self._head.rows)
        if self.recall is not None:
            np.save(folder / QUERIES_FILE, self.queries)
            write_settings(folder, self.settings, self.recall)

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    @property
    def size(self) -> int:
        return len(self.vectors)

    @property
    def trained(self) -> Any:
        """The FAISS index within, whose centroids and code books another of the same settings can take over."""
        return self._index

    def prepared(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Queries or new vectors (m, d) as the metric compares them."""
        return unit_length(vectors) if self.settings.metric is Metric.COSINE else vectors

    def search(
        self, queries: NDArray[np.float32], k: int, *, selection: RowSelection | None = None, effort: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best rows by score for each of `queries` float32 (q, d), best first: scores and rows (q, min(k, n)).

        Only rows of the `selection` are found. `effort` multiplies what is looked at, for searches that a selection
        leaves with few rows. Where fewer than k are found, the end is filled with -inf and PADDING.
        """
        k = min(k, self.size)
        faiss.omp_set_num_threads(1)  # OpenMP keeps this a thread; the caller's executor is the thread budget
        settings = self.settings
        queries = self.prepared(queries)
        fetched = k
        if settings.kind is IndexKind.IVF_PQ:
            wanted = max(settings.rescored, -(-k * settings.rescored // settings.depth))
            fetched = min(round(wanted * effort), self._index.ntotal)
        parameters = self._parameters(fetched, selection, effort)
        scores, rows = self._index.search(queries, min(fetched, self._index.ntotal), params=parameters)
        if settings.kind is IndexKind.IVF_PQ:
            scores = scores_of(rows, queries, self.vectors)
        scores[rows < 0] = -np.inf
        if self._head is not None:
            head_scores, head_rows = self._head.search(queries, k, selection)
            scores = np.concatenate([head_scores, scores], axis=1)
            rows = np.concatenate([head_rows, rows], axis=1)
        elif settings.kind is not IndexKind.IVF_PQ:
            return scores, rows
        return best_of(scores, rows, k)

    def close(self) -> None:
        """Nothing to give back: the files are unmapped when the last reader lets go of them."""

    def _parameters(self, k: int, selection: RowSelection | None, effort: float) -> Any:
        settings = self.settings
        sel = None if selection is None else selection.selector
        if settings.kind is IndexKind.FLAT:
            return faiss.SearchParameters(sel=sel)
        if settings.kind is IndexKind.HNSW:
            return faiss.SearchParametersHNSW(sel=sel, efSearch=max(round(settings.width * effort), k))
        return faiss.SearchParametersIVF(sel=sel, nprobe=min(round(settings.probes * effort), settings.lists))


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    """The longest vectors, in an exact index of their own. `rows` is int64 (h,), ascending."""

    rows: NDArray[np.int64]
    _index: Any

    @classmethod
    def of(cls, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> _Head:
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors.take(rows, axis=0))
        return cls(rows, index)

    def search(
        self, queries: NDArray[np.float32], k: int, selection: RowSelection | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        own = None if selection is None else RowSelection.of(selection.shown.take(self.rows))
        parameters = faiss.SearchParameters(sel=None if own is None else own.selector)
        scores, places = self._index.search(queries, min(k, len(self.rows)), params=parameters)
        missing = places < 0
        rows = self.rows.take(places, mode="clip")
        scores[missing], rows[missing] = -np.inf, PADDING
        return scores, rows


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`vectors` (n, d) at unit length; a zero vector stays one."""
    # float32 has no room for the squares of what it holds.
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    lengths[lengths == 0] = 1.0
    scaled = np.empty(vectors.shape, np.float32)
    np.divide(vectors, lengths[:, None], out=scaled, casting="same_kind")
    return scaled


_CLASSES: Final[dict[IndexKind, Any]] = {
    IndexKind.FLAT: faiss.IndexFlat,
    IndexKind.IVF_FLAT: faiss.IndexIVFFlat,
    IndexKind.IVF_PQ: faiss.IndexIVFPQFastScan,
    IndexKind.HNSW: faiss.IndexHNSWFlat,
}


def _maps(folder: Path) -> bool:
    return sum((folder / name).stat().st_size for name in (INDEX_FILE, VECTORS_FILE)) > _MAPPED_BYTES


def _are_comparable(path: Path, mapped: Any) -> bool:
    """Read, not mapped: what is looked at once should not take memory from then on."""
    for start in range(0, mapped.size, _CHUNK):
        values = np.fromfile(path, mapped.dtype, _CHUNK, offset=mapped.offset + start * mapped.itemsize)
        if not are_comparable(values):
            return False
    return True


def _settings_of(index: Any) -> IndexSettings:
    """Of an index that stands without `index.json`."""
    if isinstance(index, faiss.IndexIVFFlat):
        return IndexSettings(IndexKind.IVF_FLAT, lists=index.nlist, probes=index.nprobe)
    if isinstance(index, faiss.IndexHNSWFlat):
        links = index.hnsw.nb_neighbors(1)
        return IndexSettings(IndexKind.HNSW, links=links, width=index.hnsw.efSearch)
    return IndexSettings(IndexKind.FLAT)


def _are_rows(rows: NDArray[np.int64], n: int) -> bool:
    return not len(rows) or bool(rows[0] >= 0 and rows[-1] < n and (np.diff(rows) > 0).all())


def _vectors_within(index: Any, *, otherwise: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors that an index holds, so that no second copy is touched: a view that keeps `index` alive.

    `otherwise` where FAISS keeps no plain vectors.
    """
    flat = faiss.downcast_index(index.storage if isinstance(index, faiss.IndexHNSW) else index)
    if not isinstance(flat, faiss.IndexFlat):
        return otherwise
    return np.asarray(_Within(index, flat))


class _Within:
    """Memory of a flat index as NumPy sees it: an array made of this keeps it, and so `index`, alive."""

    def __init__(self, index: Any, flat: Any) -> None:
        self.index = index
        pointer = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).ctypes.data
        self.__array_interface__ = {
            "version": 3,
            "shape": (flat.ntotal, flat.d),
            "typestr": np.dtype(np.float32).str,
            "data": (pointer, True),  # read-only
        }
