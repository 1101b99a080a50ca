"""A small builder of ONNX graphs: operators and arrays go in, a checked `model.onnx` comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 17
IR_VERSION: Final = 9
"""Old enough for every ONNX Runtime since 1.14 and for Triton."""

INLINE_LIMIT_BYTES: Final = 1_500_000_000
"""Protobuf ends at 2 GiB a file; the arrays of a larger model go to a file beside it."""

_TYPES: Final = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}

Axes = Sequence[str | int]
"""Names of the axes that may have any size, sizes of the others."""


class GraphBuilder:
    """Collects a graph node by node. Values are known by their names, which `constant` and `node` make up."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._bytes = 0

    def input(self, name: str, dtype: str, axes: Axes) -> str:
        """Declare an input of `dtype` "float32" or "int64"."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], list(axes)))
        return name

    def output(self, name: str, axes: Axes) -> None:
        """Declare the value `name` as a float32 output."""
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(axes)))

    def constant(self, value: NDArray[Any] | float | int | Sequence[int]) -> str:
        """Put an array into the file: floats become float32, integers int64."""
        array = np.asarray(value)
        array = np.ascontiguousarray(array, np.int64 if array.dtype.kind == "i" else np.float32).reshape(array.shape)
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        self._bytes += array.nbytes
        return name

    def node(self, operator: str, *inputs: str, to: str | None = None, **attributes: int | float | str) -> str:
        """Add an operator with one output, named `to`, and return that name."""
        name = to or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def sum(self, value: str, *, axis: int, keep: bool = False, to: str | None = None) -> str:
        """Add `value` up along `axis`, which stays with size 1 if `keep`."""
        return self.node("ReduceSum", value, self.constant([axis]), to=to, keepdims=int(keep))

    def linear(self, value: str, weight: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> str:
        """`value` (rows, i) · `weight` (o, i) transposed + `bias` (o,), as PyTorch's `Linear` has them."""
        operands = [value, self.constant(weight)] + ([] if bias is None else [self.constant(bias)])
        return self.node("Gemm", *operands, transB=1)

    def save(self, path: Path, *, inline_limit_bytes: int = INLINE_LIMIT_BYTES) -> None:
        """Write the graph and check it. Arrays above the limit in sum go to `<path>.data`, which belongs to it."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="audotics")
        if self._bytes > inline_limit_bytes:
            beside = path.with_name(f"{path.name}.data")
            onnx.save(model, str(path), save_as_external_data=True, location=beside.name)
            beside.chmod(path.stat().st_mode)  # onnx lets only its owner read it, and a server may be somebody else
        else:
            onnx.save(model, str(path))
        onnx.checker.check_model(str(path), full_check=True)


def masked_rows(graph: GraphBuilder, history: str, *, n_tracks: int) -> tuple[str, str]:
    """Rows of a table that ends with a row of zeros, for padding, and which places of `history` are none (bool)."""
    known = graph.node("GreaterOrEqual", history, graph.constant(0))
    return graph.node("Where", known, history, graph.constant(n_tracks)), known


def with_zero_row(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """The table (n + 1, d) that `masked_rows` refers to."""
    return np.concatenate([table, np.zeros((1, table.shape[1]), np.float32)])
