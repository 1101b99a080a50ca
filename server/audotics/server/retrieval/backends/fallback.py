"""A device while it works, the CPU when it does not: searches go in, and somebody always answers.

A device that failed once is left alone until the index is loaded again: a search on it costs more than it saves.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.selection import RowSelection
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.devices.driver import DriverError, NoGpuError
from audotics.server.retrieval.backends.backend import Backend, DeviceError
from audotics.server.retrieval.backends.gpu import GpuFaiss, Placement, gpus_for_faiss
from audotics.server.retrieval.backends.onnx import OnnxTopK
from audotics.server.retrieval.counters import RetrievalCounters

_LOG: Final = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
Maker = Callable[[StoredIndex], Backend]


class WithFallback:
    """The first of several backends that can be made, and `stored` on the CPU from the moment that it fails."""

    def __init__(self, stored: StoredIndex, makers: Sequence[Maker], *, counters: RetrievalCounters) -> None:
        self._stored = stored
        self._counters = counters
        self._lock = threading.Lock()
        self._device: Backend | None = None
        reasons = []
        for make in makers:
            try:
                self._device = make(stored)
                return
            except DeviceError as error:
                reasons.append(str(error))
        self._note("; ".join(reasons))

    @property
    def size(self) -> int:
        return self._stored.size

    @property
    def on_device(self) -> bool:
        """Whether searches still go to the device."""
        return self._device is not None

    def search(
        self, queries: NDArray[np.float32], k: int, *, selection: RowSelection | None = None, effort: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As Backend has it. Never raises DeviceError."""
        device = self._device
        if device is not None:
            try:
                return device.search(queries, k, selection=selection, effort=effort)
            except DeviceError as error:
                self._leave(device, str(error))
        return self._stored.search(queries, k, selection=selection, effort=effort)

    def close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def _leave(self, device: Backend, reason: str) -> None:
        with self._lock:
            if self._device is not device:
                return  # another search noticed first
            self._device = None
        self._note(reason)
        device.close()  # a search that is under way on it fails, and comes here too

    def _note(self, reason: str) -> None:
        self._counters.add("device_fallbacks")
        _LOG.warning("an index of %d vectors is searched on the CPU: %s", self._stored.size, reason)


def placer(
    device: Device, *, counters: RetrievalCounters, placement: Placement | None = None
) -> Callable[[StoredIndex], Backend]:
    """What puts an index where it is searched: "cuda" is FAISS on the GPUs of a `placement`, or else ONNX Runtime's.

    "auto" is "cuda" where FAISS sees a GPU, and the CPU where it does not, without a word when there is none.
    """
    if device == "cpu" or (device == "auto" and not _sees_gpu(counters)):
        return lambda stored: stored
    first = max(placement.devices[0], 0) if placement is not None and placement.devices else 0
    makers = (partial(GpuFaiss, placement=placement), partial(OnnxTopK, device_id=first))
    return lambda stored: WithFallback(stored, makers, counters=counters)


def _sees_gpu(counters: RetrievalCounters) -> bool:
    try:
        return gpus_for_faiss() > 0
    except NoGpuError:
        return False
    except DriverError as error:
        counters.add("device_fallbacks")
        _LOG.warning("indexes are searched on the CPU: %s", error)
        return False
