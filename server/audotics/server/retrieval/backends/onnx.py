"""Exact search as an ONNX graph: a matrix product and TopK. On a GPU it needs ONNX Runtime's CUDA provider only.

The graph (`top_k.onnx`, written by `audotics.exporters.graphs.top_k`) takes the vectors as an input, so that one file
serves every index. They are bound to the device once.
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
from audotics.server.retrieval.backends.backend import DeviceError

GRAPH_FILE: Final = "top_k.onnx"
_PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxTopK:
    """A Backend over the vectors of `stored` in ONNX Runtime, on `device` "cpu" or "cuda"."""

    def __init__(self, stored: StoredIndex, *, device: str = "cuda", device_id: int = 0, threads: int = 1) -> None:
        """Copies the vectors to the device. Raises DeviceError when it is missing or has too little memory."""
        provider = _PROVIDERS[device]
        if provider not in onnxruntime.get_available_providers():
            raise DeviceError(
                f"ONNX Runtime has no {provider}, only {', '.join(onnxruntime.get_available_providers())}"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # failures come back as exceptions
        graph = files(__package__).joinpath(GRAPH_FILE).read_bytes()
        settings = [{"device_id": device_id}] if device == "cuda" else None
        self._stored, self._device, self._device_id = stored, device, device_id
        try:
            self._session: Any = onnxruntime.InferenceSession(graph, options, [provider], settings)
            if provider not in self._session.get_providers():
                raise DeviceError(f"ONNX Runtime cannot use {provider}; its CUDA libraries may be missing")
            self._vectors = self._value(stored.vectors)
            self._no_bias = self._value(np.zeros(stored.size, np.float32))
        except DeviceError:
            raise
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
        try:
            bias = self._no_bias
            if selection is not None:
                bias = self._value(np.where(selection.shown, np.float32(0), np.float32(-np.inf)))
            binding = self._session.io_binding()
            binding.bind_cpu_input("queries", np.ascontiguousarray(self._stored.prepared(queries)))
            binding.bind_cpu_input("k", np.asarray([k], np.int64))
            binding.bind_ortvalue_input("vectors", self._vectors)
            binding.bind_ortvalue_input("bias", bias)
            for name in ("scores", "rows"):
                binding.bind_output(name, "cpu")
            self._session.run_with_iobinding(binding)
            scores, rows = binding.copy_outputs_to_cpu()
        except Exception as error:
            raise DeviceError(f"ONNX Runtime failed on {self._device}: {error}") from error
        return scores, np.where(np.isneginf(scores), PADDING, rows)

    def close(self) -> None:
        """Let go of the session and what it holds on the device. May be called twice."""
        self._session = self._vectors = self._no_bias = None

    def _value(self, array: NDArray[np.float32]) -> Any:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array, self._device, self._device_id)
