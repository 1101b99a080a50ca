"""One SavedModel on TensorFlow, in this process: named arrays go in, named arrays come out.

TensorFlow is imported by the first model that is opened, which takes seconds; a server without such a model does
without it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.errors import DeadlineError, RefusedModelError
from audotics.server.runtime.model import InferenceError

if TYPE_CHECKING:
    import tensorflow

SIGNATURE: Final = "serving_default"
GRAPH_FILE: Final = "saved_model.pb"

_REFUSED: Final = ("PyFunc", "EagerPyFunc", "PyFuncStateless", "ReadFile", "WriteFile", "MatchingFiles", "LoadLibrary")
"""Operators that reach for what is not the model's: Python, and files."""


class SavedModel:
    """A Model in this process, of the folder of a bundle. TensorFlow has no names for axes."""

    platform: Final = "tensorflow_savedmodel"
    device: Final = "cpu"  # TensorFlow is told of no GPU
    waits: Final = False
    ends: Final = False  # TensorFlow has no public way to

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """Load `folder`; `threads` work on one run, which the first model decides for all.

        Raises RefusedModelError when TensorFlow is not installed, does not take the folder, or the model has operators
        that reach for Python or files.
        """
        self._name = f"{folder.parent.name}/{folder.name}"
        self._tensorflow = tensorflow = _tensorflow(self._name, threads)
        try:
            self._model = tensorflow.saved_model.load(str(folder))
            function: Any = self._model.signatures[SIGNATURE]
        except Exception as error:  # TensorFlow raises a dozen unrelated classes here
            raise RefusedModelError(
                f"{self._name}: TensorFlow does not take its SavedModel, or it has no signature {SIGNATURE!r} "
                f"({type(error).__name__}); export it again"
            ) from error
        self._function = function
        self._check_operators(function.graph.as_graph_def())
        self.inputs = tuple(_spec(name, spec) for name, spec in sorted(function.structured_input_signature[1].items()))
        self.outputs = tuple(_spec(name, spec) for name, spec in sorted(function.structured_outputs.items()))
        self._dtypes = {spec.name: np.dtype(spec.dtype) for spec in self.outputs}
        self._specs = {spec.name: (np.dtype(spec.dtype), spec.shape) for spec in self.inputs}
        self.axes: Mapping[str, tuple[int | str, ...]] = {
            spec.name: tuple("" if size < 0 else size for size in spec.shape) for spec in (*self.inputs, *self.outputs)
        }

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        """As Model has it."""
        if deadline is not None and time.monotonic() >= deadline:
            raise DeadlineError("the deadline passed before the model could run")
        try:
            if not all(self._fits(name, array) for name, array in feeds.items()):
                raise TypeError("an input of another type or shape")  # TensorFlow would convert it, or go on
            found = self._function(**{name: self._tensorflow.constant(array) for name, array in feeds.items()})
            # Of a tensor without axes TensorFlow makes a number or bytes, and no array.
            arrays = [np.asarray(found[name].numpy(), self._dtypes[name]) for name in outputs]
        except Exception as error:  # as above
            raise InferenceError(f"{self._name}: the model failed on its inputs ({type(error).__name__})") from error
        return [_texts(array) if array.dtype.hasobject else array for array in arrays]

    def _fits(self, name: str, array: NDArray[Any]) -> bool:
        dtype, shape = self._specs[name]
        return (
            array.dtype == dtype
            and array.ndim == len(shape)
            and all(known in (-1, size) for known, size in zip(shape, array.shape, strict=True))
        )

    def _check_operators(self, graph: Any) -> None:
        functions = [node for function in graph.library.function for node in function.node_def]
        for node in (*graph.node, *functions):
            if node.op in _REFUSED:
                raise RefusedModelError(
                    f"{self._name}: its SavedModel has the operator {node.op!r}, which reaches for what is not the "
                    "model's; export it without"
                )


def _tensorflow(name: str, threads: int) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else it greets on stderr
    try:
        import tensorflow
    except ImportError as error:
        raise RefusedModelError(
            f"{name}: its runtime is TensorFlow, which is not installed; pip install 'audotics[tensorflow]', or take "
            "runtime.json away"
        ) from error
    try:
        # Else it takes all memory of every GPU that it finds, where searches and ONNX models may be.
        tensorflow.config.set_visible_devices([], "GPU")
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # another model has run already
        pass
    return tensorflow


def _spec(name: str, spec: tensorflow.TensorSpec) -> TensorSpec:
    dtype = np.dtype(spec.dtype.as_numpy_dtype)
    shape = () if spec.shape.rank is None else tuple(-1 if size is None else int(size) for size in spec.shape)
    return TensorSpec(name, "object" if dtype.hasobject else dtype.name, shape)


def _texts(array: NDArray[Any]) -> NDArray[Any]:
    texts = np.empty(array.size, np.object_)
    texts[:] = [text.decode(errors="replace") for text in array.ravel()]
    return texts.reshape(array.shape)
