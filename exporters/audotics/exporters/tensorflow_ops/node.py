"""One node of an ONNX graph as the operators see it: its attributes by name, and values that are known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from numpy.typing import NDArray
from onnx import helper

Value = Any
"""A tensor, a variable, or the NumPy array of a constant. None stands for an optional input that is left out."""

Operator = Callable[..., Any]
"""Called with the node and its inputs. Returns the output, or a tuple of several."""


class UnsupportedError(Exception):
    """An operator is asked for something that it does not do here. The message says what."""


@dataclass(frozen=True, slots=True)
class Node:
    """`opset` is the version of the operator set that the graph was written for."""

    operator: str
    name: str
    attributes: dict[str, Any]
    outputs: tuple[str, ...]
    opset: int

    @classmethod
    def read(cls, node: onnx.NodeProto, *, opset: int) -> Node:
        """`node` with its domain before its operator, where it is not ONNX's own."""
        return cls(
            f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type,
            node.name or (node.output[0] if node.output else ""),
            {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
            tuple(node.output),
            opset,
        )

    def get(self, name: str, default: Any) -> Any:
        """The attribute `name`, text decoded, or `default`."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value


def static(value: Value) -> NDArray[Any] | None:
    """The value where it does not depend on the inputs of the graph, else None."""
    if isinstance(value, np.ndarray):
        return value
    if value is None or isinstance(value, tf.Variable):
        return None
    known: NDArray[Any] | None = tf.get_static_value(value)
    return known


def integers(value: Value, *, what: str) -> list[int]:
    """A value that has to be known beforehand, as plain integers. Raises UnsupportedError that names `what`."""
    known = static(value)
    if known is None:
        raise UnsupportedError(f"{what} depends on the graph's inputs")
    return [int(number) for number in np.asarray(known).reshape(-1)]


def rank(value: Value) -> int:
    """Raises UnsupportedError when the number of axes is not known."""
    try:
        return len(value.shape)
    except ValueError as error:
        raise UnsupportedError("the number of axes of an input is not known") from error


def size_of(value: Value, axis: int) -> Any:
    """int64: the size of `value` on `axis`, as a number where it is known beforehand."""
    known = value.shape[axis]
    return tf.shape(value, out_type=tf.int64)[axis] if known is None else np.int64(known)


def axes_of(node: Node, given: Value | None) -> list[int] | None:
    """Axes that are an attribute in older operator sets and an input in newer ones; None where neither is there."""
    if given is not None:
        return integers(given, what="'axes'")
    axes: list[int] | None = node.get("axes", None)
    return None if axes is None else [int(axis) for axis in axes]
