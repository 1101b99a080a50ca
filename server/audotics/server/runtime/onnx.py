"""One loaded ONNX model on ONNX Runtime's CPU provider: named arrays go in, named arrays come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import onnxruntime
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.errors import AudoticsError, RefusedModelError

_DTYPES: Final = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(string)": "object",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
}


class InferenceError(AudoticsError):
    """A loaded model failed on the inputs that it was given."""


class OnnxModel:
    """A model ready to run. Safe to call from several threads at once.

    `axes` names the axes of each input and output as the graph does: a size where it is fixed, else a name, and axes
    of one name have one size. An axis that the graph leaves without a name is "".
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Load `path`; `threads` work on one run. Raises RefusedModelError when ONNX Runtime does not take the file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # failures come back as exceptions; a second copy on stderr helps nobody
        # An arena keeps its largest batch for good. These tensors are small, and plain allocation measures the same.
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._name = f"{path.parent.parent.name}/{path.parent.name}"
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes here
            raise RefusedModelError(
                f"{self._name}: ONNX Runtime does not take {path.name!r} ({type(error).__name__}); export it again"
            ) from error
        nodes = (*self._session.get_inputs(), *self._session.get_outputs())
        self.inputs = tuple(_spec(node) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(node) for node in self._session.get_outputs())
        self.axes: Mapping[str, tuple[int | str, ...]] = {
            node.name: tuple(size if isinstance(size, int) else size or "" for size in node.shape) for node in nodes
        }

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run on `feeds`, keyed by input name, and return the named outputs in that order. Blocks.

        Raises InferenceError when the model fails, for example on a row number beyond its tables.
        """
        try:
            arrays: list[NDArray[Any]] = self._session.run(list(outputs), dict(feeds))
        except Exception as error:  # as above
            raise InferenceError(f"{self._name}: the model failed on its inputs ({type(error).__name__})") from error
        return arrays


def _spec(node: onnxruntime.NodeArg) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return TensorSpec(node.name, _DTYPES.get(node.type, node.type), shape)
