"""Exact search as an ONNX graph: a matrix product and TopK. On a GPU it needs ONNX Runtime's CUDA provider only.

The graph (`top_k.onnx`, written by `audotics.exporters.graphs.top_k`) takes the vectors as an input, so that one file
serves every index. They are bound to the device once. Every product of a query and a vector lies in memory for a
moment, so a search of many queries is made in several runs.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from audotics.bundle.indexes.exact import PADDING
from audotics.bundle.indexes.selection import RowSelection
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.devices.driver import DriverError
from audotics.server.devices.onnx_cuda import CPU_PROVIDER, session_on_cuda
from audotics.server.retrieval.backends.backend import DeviceError

GRAPH_FILE: Final = "top_k.onnx"
_PRODUCT_BYTES: Final = 256 << 20
"""Products of queries and vectors that one run may hold."""


class OnnxTopK:
    """A Backend over the vectors of `stored` in ONNX Runtime, on `device` "cpu" or "cuda"."""

    def __init__(
        self,
        stored: StoredIndex,
        *,
        device: str = "cuda",
        device_id: int = 0,
        threads: int = 1,
        product_bytes: int = _PRODUCT_BYTES,
    ) -> None:
        """Copies the vectors to the device. Raises DeviceError when it is missing or has too little memory."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # failures come back as exceptions
        options.enable_cpu_mem_arena = False  # which would keep the products of the largest search
        graph = files(__package__).joinpath(GRAPH_FILE).read_bytes()
        self._stored, self._device, self._device_id = stored, device, device_id
        self._queries_a_run = max(1, product_bytes // (4 * stored.size))
        try:
            if device == "cuda":
                self._session: Any = session_on_cuda(graph, options, device_id=device_id)
            else:
                self._session = onnxruntime.InferenceSession(graph, options, providers=[CPU_PROVIDER])
            self._vectors = self._value(stored.vectors)
            self._no_bias = self._value(np.zeros(stored.size, np.float32))
        except DriverError as error:
            raise DeviceError(str(error)) from error
        except Exception as error:  # ONNX Runtime's own exceptions share no base
            raise DeviceError(f"ONNX Runtime cannot hold {stored.size} vectors on {device}: {error}") from error

    @property
    def size(self) -> int:
        return self._stored.size

    def search(
        self, queries: NDArray[np.float32], k: int, *, selection: RowSelection | None = None, effort: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As Backend has it. Raises DeviceError when the device fails."""
        k = min(k, self._stored.size)
        queries = np.ascontiguousarray(self._stored.prepared(queries))
        step = self._queries_a_run
        try:
            bias = self._no_bias
            if selection is not None:
                bias = self._value(np.where(selection.shown, np.float32(0), np.float32(-np.inf)))
            found = [self._run(queries[start : start + step], k, bias) for start in range(0, len(queries), step)]
        except Exception as error:
            raise DeviceError(f"ONNX Runtime failed on {self._device}: {error}") from error
        if not found:
            return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
        scores, rows = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return scores, np.where(np.isneginf(scores), PADDING, rows)

    def _run(self, queries: NDArray[np.float32], k: int, bias: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        binding = self._session.io_binding()
        binding.bind_cpu_input("queries", queries)
        binding.bind_cpu_input("k", np.asarray([k], np.int64))
        binding.bind_ortvalue_input("vectors", self._vectors)
        binding.bind_ortvalue_input("bias", bias)
        for name in ("scores", "rows"):
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        scores, rows = binding.copy_outputs_to_cpu()
        return scores, rows

    def close(self) -> None:
        """Let go of the session and what it holds on the device. May be called twice."""
        self._session = self._vectors = self._no_bias = None

    def _value(self, array: NDArray[np.float32]) -> Any:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array, self._device, self._device_id)
