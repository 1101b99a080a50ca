"""Exact search in FAISS on one or several GPUs: vectors go onto the devices in float16, the best rows come out.

A GPU compares a million vectors in the time in which a CPU looks for the lists that are worth a look, so nothing here
is approximate but the rounding, and that is made good: a few rows more than asked are found, and compared again in
float32. Vectors and queries are scaled into the range of float16 first, which ends at 65,504; no order depends on that.

The same code runs on the CPU where `devices` names it, with FAISS's own float16 index in place of the GPU's; so it is
tested where there is no GPU.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.exact import PADDING, best_of, scores_of
from audotics.bundle.indexes.native import faiss
from audotics.bundle.indexes.selection import RowSelection
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.devices.driver import CudaDriver, DriverError, NoGpuError
from audotics.server.retrieval.backends.backend import DeviceError
from audotics.server.retrieval.backends.owner import OwnerThread, SearchBatch

CPU: Final = -1
"""Stands for the CPU among devices, which are numbered from 0."""

_MOST_ROWS: Final = 2048
"""FAISS's limit of rows that one search on a GPU finds."""

_MARGIN: Final = 16
"""Rows that are found beyond those asked for, since float16 may have them in another order."""

_QUERIES_AT_ONCE: Final = 64
"""As many share one look at all vectors. More would take more memory for their scores, and save little."""

_TILE_ROWS: Final = 1 << 19
"""Vectors whose scores FAISS holds at a time, in two buffers."""

_SET_UP_BYTES: Final = 768 << 20
"""What FAISS and cuBLAS take on a GPU beside vectors and scores, the copy of vectors that are on their way included."""

_LARGEST: Final = 1024.0
"""What the largest number of all vectors is brought to, or a little less, …"""

_SPARE: Final = 14
"""… unless it is within so many powers of two below: to scale takes a copy of all vectors."""


class Spread(StrEnum):
    """What each of several devices holds: a part of the vectors, or all of them, to answer a part of the queries."""

    SHARDED = "sharded"
    REPLICATED = "replicated"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the vectors go: to some `devices`, or where none is named to every GPU that FAISS sees.

    `float16` halves their memory and the time that reading them takes.
    """

    devices: tuple[int, ...] = (0,)
    spread: Spread = Spread.REPLICATED
    float16: bool = True


def gpus_for_faiss() -> int:
    """How many GPUs FAISS can use. Raises NoGpuError or DriverError when it can use none."""
    if not hasattr(faiss, "StandardGpuResources"):
        raise NoGpuError("this FAISS is built for the CPU alone")
    CudaDriver.find()  # FAISS must not be asked before the driver has answered
    count = int(faiss.get_num_gpus())
    if not count:
        raise DriverError("there is a GPU, but its driver is too old for the CUDA that FAISS brings")
    return count


def gpu_count() -> int:
    """GPUs that FAISS can use; 0 where it can use none, whatever the reason."""
    try:
        return gpus_for_faiss()
    except DriverError:
        return 0


class GpuFaiss:
    """A Backend over the vectors of `stored`, on the devices of a `placement`, with one thread that owns them."""

    def __init__(self, stored: StoredIndex, *, placement: Placement | None = None) -> None:
        """Copies the vectors to the devices. Raises DeviceError when one is missing or has too little memory."""
        placement = _checked(Placement() if placement is None else placement, stored.vectors.shape)
        self._stored = stored
        self._most = min(stored.size, _MOST_ROWS)
        try:
            self._owner = OwnerThread(
                lambda: _placed(stored.vectors, placement), name="gpu-index", limit_queries=_QUERIES_AT_ONCE
            )
        except (RuntimeError, MemoryError) as error:
            raise DeviceError(f"FAISS cannot place {stored.size} vectors on {placement.devices}: {error}") from error
        # Snapshots share it, and the last one to go says nothing. At the end of the process the driver clears up.
        weakref.finalize(self, self._owner.release).atexit = False

    @property
    def size(self) -> int:
        return self._stored.size

    def search(
        self, queries: NDArray[np.float32], k: int, *, selection: RowSelection | None = None, effort: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As Backend has it. More rows are found than asked, and those outside the `selection` taken out.

        At most 2,048 rows. Raises DeviceError when the device fails.
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
            rows = np.where(selection.shown.take(rows), rows, PADDING)  # what is PADDING stays it
        faiss.omp_set_num_threads(1)  # of this thread, for the comparison in float32
        return best_of(scores_of(rows, queries, self._stored.vectors), rows, k)

    def close(self) -> None:
        self._owner.close()


def _checked(placement: Placement, shape: tuple[int, ...]) -> Placement:
    """`placement` with its devices named.

    Raises DeviceError when one of them is missing, or has too little memory for vectors of `shape`.
    """
    wanted = sorted(set(placement.devices) - {CPU})
    if placement.devices and not wanted:
        return placement
    try:
        present = gpus_for_faiss()
        if not placement.devices:
            placement = replace(placement, devices=tuple(range(present)))
            wanted = list(placement.devices)
        if wanted[-1] >= present:
            raise DeviceError(f"no GPU {wanted[-1]} for FAISS: it sees {present}")
        driver = CudaDriver.find()
        rows = -(-shape[0] // len(placement.devices)) if placement.spread is Spread.SHARDED else shape[0]
        needed = rows * shape[1] * (2 if placement.float16 else 4) + _scratch_bytes(rows) + _SET_UP_BYTES
        for device in wanted:
            free = driver.free_bytes(device)
            if free < needed * placement.devices.count(device):
                raise DeviceError(
                    f"GPU {device} has {free >> 20} MiB free; {rows} vectors of {shape[1]} need {needed >> 20} MiB"
                )
    except DriverError as error:
        raise DeviceError(f"no GPU for FAISS: {error}") from error
    return placement


def _scratch_bytes(rows: int) -> int:
    """Memory on a GPU for the scores of the queries that are compared at a time."""
    return 2 * 4 * _QUERIES_AT_ONCE * min(rows, _TILE_ROWS) + (64 << 20)


def _placed(vectors: NDArray[np.float32], placement: Placement) -> SearchBatch:
    """The search of an index over all devices. Called on the thread that will search."""
    if placement.float16:
        vectors = _within_float16(vectors)
    n, dimension = vectors.shape
    sharded = placement.spread is Spread.SHARDED
    # FAISS takes what an empty shard finds, which is nothing, for the best.
    devices = placement.devices[:n] if sharded else placement.devices
    if len(devices) == 1:
        whole, kept = _on_device(vectors, devices[0], placement)
        return _Searched(whole, [kept]).search
    composite = faiss.IndexShards(dimension, True, True) if sharded else faiss.IndexReplicas(dimension, True)
    kept = []
    bounds = np.linspace(0, n, len(devices) + 1).astype(int).tolist()
    for device, start, end in zip(devices, bounds[:-1], bounds[1:], strict=True):
        part, resources = _on_device(vectors[start:end] if sharded else vectors, device, placement)
        composite.addIndex(part)
        kept.append((part, resources))
    return _Searched(composite, kept).search


def _within_float16(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`vectors`, times a power of two where their largest number is far from what float16 tells apart well."""
    largest = max(float(vectors.max()), -float(vectors.min()))
    exponent = np.frexp(_LARGEST / largest)[1] - 1 if largest else 0
    return vectors if 0 <= exponent <= _SPARE else np.ldexp(vectors, exponent)


@dataclass(frozen=True, slots=True, eq=False)
class _Searched:
    """An index and what has to live as long as it."""

    index: Any
    kept: list[Any]

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        faiss.omp_set_num_threads(1)
        # A GPU rounds queries as it does vectors. Their largest numbers become 0.5 to 1; no order depends on it.
        queries = np.ldexp(queries, -np.frexp(np.abs(queries).max(axis=1, keepdims=True))[1])
        found = [
            self.index.search(np.ascontiguousarray(queries[start : start + _QUERIES_AT_ONCE]), k)
            for start in range(0, max(len(queries), 1), _QUERIES_AT_ONCE)
        ]
        scores, rows = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return scores, rows


def _on_device(vectors: NDArray[np.float32], device: int, placement: Placement) -> tuple[Any, Any]:
    """An index over `vectors` on one device, and the resources that have to outlive it."""
    vectors = np.ascontiguousarray(vectors)
    dimension = vectors.shape[1]
    resources = None
    if device != CPU:
        resources = faiss.StandardGpuResources()
        # Otherwise every index takes 1.5 GiB of the GPU, and 256 MiB of the host for copies that nobody makes.
        resources.setTempMemory(_scratch_bytes(len(vectors)))
        resources.setPinnedMemory(0)
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
