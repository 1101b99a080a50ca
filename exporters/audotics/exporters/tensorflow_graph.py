"""An ONNX graph as a TensorFlow module: `model.onnx` goes in, a SavedModel with the same names comes out.

The graph is rebuilt node by node (`tensorflow_ops`), once, while TensorFlow traces it. Large arrays become variables,
so that they stand in `variables/` and not a second time in `saved_model.pb`. Converters from elsewhere were looked at:
onnx-tf is archived and needs TensorFlow Addons, which ended in 2024; onnx2tf turns every tensor from NCHW to NHWC for
pictures, brings half a dozen packages of its author, and is leaving SavedModel for LiteRT.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import onnx
import tensorflow as tf
from onnx import helper, numpy_helper

from audotics.exporters.errors import ExportError
from audotics.exporters.saved_model import SIGNATURE
from audotics.exporters.tensorflow_ops import arrays, classical, elementwise, reductions
from audotics.exporters.tensorflow_ops.node import Node, Operator, UnsupportedError, Value

OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {**arrays.OPERATORS, **classical.OPERATORS, **elementwise.OPERATORS, **reductions.OPERATORS}
)
"""Every operator that is converted, by its name, with its domain before it where that is not ONNX's own."""

OLDEST_OPSET: Final = 13
"""Before it, axes and sizes of many operators were attributes, and Softmax meant something else."""

LARGEST_CONSTANT: Final = 1_024
"""Arrays of more elements become variables."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class OnnxGraph:
    """The graph of `model`, which came from `path`, with its large arrays as variables."""

    def __init__(self, model: onnx.ModelProto, *, path: Path) -> None:
        self._path = str(path)
        opsets = {entry.domain: entry.version for entry in model.opset_import}
        self._opset = opsets.get("", opsets.get("ai.onnx", OLDEST_OPSET))
        if self._opset < OLDEST_OPSET:
            raise ExportError(
                f"{path}: is written for ONNX operator set {self._opset}; export it for {OLDEST_OPSET} or later"
            )
        self._constants: dict[str, Any] = {}
        self.weights: list[tf.Variable] = []
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor, str(path.parent))
            if array.size <= LARGEST_CONSTANT:
                self._constants[tensor.name] = array
            else:
                self.weights.append(tf.Variable(array, trainable=False, name=f"array_{len(self.weights)}"))
                self._constants[tensor.name] = self.weights[-1]
        self._nodes = [Node.read(node, opset=self._opset) for node in model.graph.node]
        self._operands = [tuple(node.input) for node in model.graph.node]
        self._inputs = [value for value in model.graph.input if value.name not in self._constants]
        self._outputs = [value.name for value in model.graph.output]
        self._check(model)

    def function(self) -> tf.types.experimental.PolymorphicFunction:
        """The graph as a TensorFlow function: tensors in the order of its inputs go in, outputs by name come out."""
        specs = [_spec(value) for value in self._inputs]
        return tf.function(self._run, input_signature=specs, autograph=False)

    def _run(self, *tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        values: dict[str, Value] = dict(self._constants)
        values |= {value.name: tensor for value, tensor in zip(self._inputs, tensors, strict=True)}
        for node, names in zip(self._nodes, self._operands, strict=True):
            operands = [values[name] if name else None for name in names]
            try:
                results = OPERATORS[node.operator](node, *operands)
            except (
                UnsupportedError,
                ValueError,
                TypeError,
                KeyError,
                IndexError,
                tf.errors.InvalidArgumentError,
            ) as error:
                raise ExportError(
                    f"{self._path}: operator {node.operator} of node {node.name!r} cannot be converted to TensorFlow "
                    f"({error})"
                ) from error
            results = results if isinstance(results, tuple) else (results,)
            values |= {name: result for name, result in zip(node.outputs, results, strict=False) if name}
        return {name: tf.identity(values[name], name=name) for name in self._outputs}

    def _check(self, model: onnx.ModelProto) -> None:
        for node in self._nodes:
            if node.operator not in OPERATORS:
                raise ExportError(
                    f"{self._path}: operator {node.operator} of node {node.name!r} has no TensorFlow counterpart here; "
                    "add one to audotics.exporters.tensorflow_ops, or export without the SavedModel"
                )
        for name in (*(value.name for value in self._inputs), *self._outputs):
            if not _NAME.fullmatch(name):
                raise ExportError(
                    f"{self._path}: {name!r} cannot name an input or output of a SavedModel; "
                    "use letters, digits and '_', a letter first"
                )


def convert(graph: Path, folder: Path) -> None:
    """Write the SavedModel of the ONNX file `graph` into `folder`, which may hold other files.

    Raises ExportError that names the file, the operator and the node that cannot be converted.
    """
    rebuilt = OnnxGraph(onnx.load(str(graph)), path=graph)
    module = tf.Module()  # what it holds is saved: the variables, and not the rest of the graph
    module.weights = rebuilt.weights
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: rebuilt.function().get_concrete_function()})


def _spec(value: onnx.ValueInfoProto) -> tf.TensorSpec:
    tensor = value.type.tensor_type
    shape = [axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim]
    return tf.TensorSpec(shape, helper.tensor_dtype_to_np_dtype(tensor.elem_type), name=value.name)
