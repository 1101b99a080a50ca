"""Exact search in FAISS on one or several GPUs: vectors go onto the devices in float16, the best rows come out.

A GPU compares a million vectors in the time in which a CPU looks for the lists that are worth a look, so nothing here
is approximate but the rounding, and that is made good: a few rows more than asked are found, and compared again in
float32.

The same code runs on the CPU where `devices` names it, with FAISS's own float16 index in place of the GPU's; so it is
tested where there is no GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.exact import PADDING, best_of, scores_of
from audotics.bundle.indexes.native import faiss
from audotics.bundle.indexes.selection import RowSelection
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.retrieval.backends.backend import DeviceError
from audotics.server.retrieval.backends.owner import OwnerThread, SearchBatch

CPU: Final = -1
"""Stands for the CPU among devices, which are numbered from 0."""

_MOST_ROWS: Final = 2048
"""FAISS's limit of rows that one search on a GPU finds."""

_MARGIN: Final = 16
"""Rows that are found beyond those asked for, since float16 may have them in another order."""


class Spread(StrEnum):
    """What each of several devices holds: a part of the vectors, or all of them, to answer a part of the queries."""

    SHARDED = "sharded"
    REPLICATED = "replicated"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the vectors go. `float16` halves their memory and the time that reading them takes."""

    devices: tuple[int, ...] = (0,)
    spread: Spread = Spread.REPLICATED
    float16: bool = True


def gpu_count() -> int:
    """GPUs that FAISS can use; 0 when there are none or when it was built without them."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


class GpuFaiss:
    """A Backend over the vectors of `stored`, on the devices of a `placement`, with one thread that owns them."""

    def __init__(self, stored: StoredIndex, *, placement: Placement | None = None) -> None:
        """Copies the vectors to the devices. Raises DeviceError when one is missing or has too little memory."""
        placement = Placement() if placement is None else placement
        present = gpu_count()
        missing = [device for device in placement.devices if device >= present]
        if missing or not placement.devices:
            built = "" if hasattr(faiss, "StandardGpuResources") else "; this FAISS is built for the CPU alone"
            raise DeviceError(f"no GPU {missing[0] if missing else 0} for FAISS: it sees {present}{built}")
        self._stored = stored
        # The CPU finds as many as are asked for.
        self._most = stored.size if CPU in placement.devices else min(stored.size, _MOST_ROWS)
        try:
            self._owner = OwnerThread(lambda: _placed(stored.vectors, placement), name="gpu-index")
        except (RuntimeError, MemoryError) as error:
            raise DeviceError(f"FAISS cannot place {stored.size} vectors on {placement.devices}: {error}") from error

    @property
    def size(self) -> int:
        return self._stored.size

    def search(
        self, queries: NDArray[np.float32], k: int, *, selection: RowSelection | None = None, effort: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As Backend has it. More rows are found than asked, and those outside the `selection` taken out.

        At most 2,048 on a GPU. Raises DeviceError when the device fails.
        """
        k = min(k, self._stored.size)
        queries = self._stored.prepared(queries)
        hidden = 0 if selection is None else len(selection.shown) - int(np.count_nonzero(selection.shown))
        fetched = min(k + _MARGIN + hidden, self._most)
        if hidden:  # of few sizes, so that searches beside each other go into one batch
            fetched = min(1 << (fetched - 1).bit_length(), self._most)
        try:
            rows = self._owner.search(queries, fetched)[1]
        except (RuntimeError, MemoryError) as error:
            raise DeviceError(f"FAISS failed on a device: {error}") from error
        if selection is not None:
            rows = np.where((rows >= 0) & selection.shown.take(rows), rows, PADDING)
        faiss.omp_set_num_threads(1)  # of this thread, for the comparison in float32
        return best_of(scores_of(rows, queries, self._stored.vectors), rows, k)

    def close(self) -> None:
        self._owner.close()


def _placed(vectors: NDArray[np.float32], placement: Placement) -> SearchBatch:
    """The search of an index over all devices. Called on the thread that will search."""
    n, dimension = vectors.shape
    devices = placement.devices
    if len(devices) == 1:
        whole, kept = _on_device(vectors, devices[0], placement)
        return _Searched(whole, [kept]).search
    sharded = placement.spread is Spread.SHARDED
    composite = faiss.IndexShards(dimension, True, True) if sharded else faiss.IndexReplicas(dimension, True)
    kept = []
    bounds = np.linspace(0, n, len(devices) + 1).astype(int).tolist()
    for device, start, end in zip(devices, bounds[:-1], bounds[1:], strict=True):
        part, resources = _on_device(vectors[start:end] if sharded else vectors, device, placement)
        composite.addIndex(part)
        kept.append((part, resources))
    return _Searched(composite, kept).search


@dataclass(frozen=True, slots=True, eq=False)
class _Searched:
    """An index and what has to live as long as it."""

    index: Any
    kept: list[Any]

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        faiss.omp_set_num_threads(1)
        scores, rows = self.index.search(np.ascontiguousarray(queries), k)
        return scores, rows


def _on_device(vectors: NDArray[np.float32], device: int, placement: Placement) -> tuple[Any, Any]:
    """An index over `vectors` on one device, and the resources that have to outlive it."""
    vectors = np.ascontiguousarray(vectors)
    dimension = vectors.shape[1]
    resources = None
    if device != CPU:
        resources = faiss.StandardGpuResources()
        config = faiss.GpuIndexFlatConfig()
        config.device, config.useFloat16 = device, placement.float16
        index = faiss.GpuIndexFlatIP(resources, dimension, config)
    elif placement.float16:
        kind = faiss.ScalarQuantizer.QT_fp16
        index = faiss.IndexScalarQuantizer(dimension, kind, faiss.METRIC_INNER_PRODUCT)
    else:
        index = faiss.IndexFlatIP(dimension)
    index.add(vectors)
    return index, resources
