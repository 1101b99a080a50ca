"""Operators that move elements or make arrays: shapes, joins and cuts, look-ups, and constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tensorflow as tf
from onnx import numpy_helper

from audotics.exporters.tensorflow_ops.node import (
    Node,
    Operator,
    UnsupportedError,
    Value,
    axes_of,
    integers,
    rank,
    size_of,
    static,
)

FAR: Final = 2**31 - 1
"""No axis is as long."""


def _constant(node: Node) -> Any:
    for name, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if name in node.attributes:
            return np.asarray(node.attributes[name], dtype)
    if "value" not in node.attributes:
        raise UnsupportedError(f"a constant by {', '.join(node.attributes) or 'no attribute'} is not converted")
    return numpy_helper.to_array(node.attributes["value"])


def _constant_of_shape(node: Node, shape: Value) -> Any:
    given = node.get("value", None)
    value = np.zeros(1, np.float32) if given is None else numpy_helper.to_array(given)
    return tf.fill(shape, value.reshape(()))


def _shape(node: Node, value: Value) -> Any:
    return tf.shape(value, out_type=tf.int64)[node.get("start", 0) : node.get("end", None)]


def _range(node: Node, start: Value, limit: Value, delta: Value) -> Any:
    return tf.range(*(tf.reshape(value, ()) for value in (start, limit, delta)))


def _reshape(node: Node, value: Value, shape: Value) -> Any:
    """A size of 0 stands for the input's own size on that axis."""
    if node.get("allowzero", 0):
        return tf.reshape(value, shape)
    sizes = tf.shape(value, out_type=tf.int64)
    known = static(shape)
    if known is not None:
        return tf.reshape(value, [sizes[axis] if size == 0 else int(size) for axis, size in enumerate(known)])
    own = tf.concat([sizes, tf.ones_like(shape)], axis=0)[: tf.size(shape)]
    return tf.reshape(value, tf.where(tf.equal(shape, 0), own, shape))


def _flatten(node: Node, value: Value) -> Any:
    axis = node.get("axis", 1)
    sizes = tf.shape(value, out_type=tf.int64)
    axis += rank(value) if axis < 0 else 0
    return tf.reshape(value, [tf.reduce_prod(sizes[:axis]), tf.reduce_prod(sizes[axis:])])


def _transpose(node: Node, value: Value) -> Any:
    return tf.transpose(value, node.get("perm", None))


def _unsqueeze(node: Node, value: Value, axes: Value = None) -> Any:
    given = axes_of(node, axes) or []
    total = rank(value) + len(given)
    for axis in sorted(axis % total for axis in given):
        value = tf.expand_dims(value, axis)
    return tf.identity(value)


def _squeeze(node: Node, value: Value, axes: Value = None) -> Any:
    return tf.squeeze(value, axes_of(node, axes))


def _concat(node: Node, *values: Value) -> Any:
    return tf.concat(values, axis=node.attributes["axis"])


def _split(node: Node, value: Value, sizes: Value = None) -> Any:
    axis, parts = node.get("axis", 0), len(node.outputs)
    if sizes is None:  # as even as it goes, and the last part has what is left
        size = size_of(value, axis)
        each = -(-size // parts)
        sizes = tf.stack([*[each] * (parts - 1), size - each * (parts - 1)])
    known = static(sizes)
    return tuple(tf.split(value, sizes if known is None else known, axis=axis, num=parts))


def _slice(node: Node, value: Value, starts: Value, ends: Value, axes: Value = None, steps: Value = None) -> Any:
    n_cuts = starts.shape[0]
    at = list(range(n_cuts)) if axes is None else integers(axes, what="'axes'")
    strides = [1] * n_cuts if steps is None else integers(steps, what="'steps'")
    cuts: list[slice] = [slice(None)] * rank(value)
    for number, (axis, step) in enumerate(zip(at, strides, strict=True)):
        size = size_of(value, axis)
        start, end = _bound(starts, number), _bound(ends, number)
        if step < 0 and start is not None:
            start = tf.maximum(start, -size)  # ONNX begins at the first element then, NumPy and TensorFlow nowhere
        cuts[axis] = slice(start, end, step)
    return tf.convert_to_tensor(value)[tuple(cuts)]


def _bound(bounds: Value, number: int) -> Any:
    """One end of a cut. ONNX writes "as far as it goes" as a number far beyond, and TensorFlow as None."""
    known = static(bounds)
    if known is None:
        return tf.cast(bounds[number], tf.int64)
    bound = np.int64(known[number])
    return bound if abs(int(bound)) < FAR else None


def _gather(node: Node, table: Value, rows: Value) -> Any:
    """Negative rows count from the end. The table may be a variable, of which only the rows asked for are read."""
    axis = node.get("axis", 0)
    known = static(rows)
    rows = tf.convert_to_tensor(rows)
    if known is None or (known < 0).any():
        rows = tf.where(rows < 0, rows + tf.cast(size_of(table, axis), rows.dtype), rows)
    return tf.gather(table, rows, axis=axis)


def _gather_elements(node: Node, value: Value, indices: Value) -> Any:
    grid = _coordinates(value, indices, axis=node.get("axis", 0))
    return tf.gather_nd(value, grid)


def _gather_nd(node: Node, value: Value, indices: Value) -> Any:
    batch = node.get("batch_dims", 0)
    return tf.gather_nd(value, _counted_from_start(value, indices, skipped=batch), batch_dims=batch)


def _scatter_nd(node: Node, value: Value, indices: Value, updates: Value) -> Any:
    return _scatter(node)(value, _counted_from_start(value, indices), updates)


def _counted_from_start(value: Value, indices: Value, *, skipped: int = 0) -> Any:
    """`indices` (…, depth) into the axes of `value` after the first `skipped`, with none counted from the end."""
    indices = tf.convert_to_tensor(indices)
    depth = indices.shape[-1]
    if depth is None:
        raise UnsupportedError("the last axis of 'indices' has no fixed size")
    sizes = tf.shape(value, out_type=indices.dtype)[skipped : skipped + depth]
    return tf.where(indices < 0, indices + sizes, indices)


def _scatter_elements(node: Node, value: Value, indices: Value, updates: Value) -> Any:
    return _scatter(node)(value, _coordinates(value, indices, axis=node.get("axis", 0)), updates)


def _scatter(node: Node) -> Callable[..., Any]:
    how = node.get("reduction", "none")
    functions: dict[str, Callable[..., Any]] = {
        "none": tf.tensor_scatter_nd_update,
        "add": tf.tensor_scatter_nd_add,
        "max": tf.tensor_scatter_nd_max,
        "min": tf.tensor_scatter_nd_min,
    }
    if how not in functions:
        raise UnsupportedError(f"reduction {how!r} is not converted")
    return functions[how]


def _coordinates(value: Value, indices: Value, *, axis: int) -> Any:
    """For each element of `indices` (…), which stand for places on `axis`, where it points to in `value`: (…, rank)."""
    indices = tf.convert_to_tensor(indices)
    axis %= rank(value)
    indices = tf.where(indices < 0, indices + tf.cast(size_of(value, axis), indices.dtype), indices)
    sizes = tf.shape(indices, out_type=indices.dtype)
    grid = tf.meshgrid(*(tf.range(sizes[number]) for number in range(rank(indices))), indexing="ij")
    grid[axis] = indices
    return tf.stack(grid, axis=-1)


def _expand(node: Node, value: Value, shape: Value) -> Any:
    return tf.broadcast_to(
        value, tf.broadcast_dynamic_shape(tf.shape(value, out_type=tf.int64), tf.cast(shape, tf.int64))
    )


def _pad(node: Node, value: Value, pads: Value, fill: Value = None, axes: Value = None) -> Any:
    if node.get("mode", "constant") != "constant":
        raise UnsupportedError(f"mode {node.get('mode', '')!r} is not converted")
    sizes = integers(pads, what="'pads'")
    if any(size < 0 for size in sizes):
        raise UnsupportedError("negative 'pads' are not converted")
    at = list(range(rank(value))) if axes is None else [axis % rank(value) for axis in integers(axes, what="'axes'")]
    before_after = [(0, 0)] * rank(value)
    for number, axis in enumerate(at):
        before_after[axis] = (sizes[number], sizes[number + len(at)])
    return tf.pad(value, before_after, constant_values=0 if fill is None else tf.reshape(fill, ()))


def _trilu(node: Node, value: Value, diagonal: Value = None) -> Any:
    offset = tf.constant(0, tf.int64) if diagonal is None else tf.reshape(tf.cast(diagonal, tf.int64), ())
    sizes = tf.shape(value, out_type=tf.int64)
    distance = tf.range(sizes[-1])[None, :] - tf.range(sizes[-2])[:, None]
    kept = distance >= offset if node.get("upper", 1) else distance <= offset
    return tf.where(kept, value, tf.zeros((), value.dtype))


def _one_hot(node: Node, indices: Value, depth: Value, values: Value) -> Any:
    indices = tf.cast(indices, tf.int64)
    depth = tf.reshape(tf.cast(depth, tf.int32), ())
    wrapped = tf.where(indices < 0, indices + tf.cast(depth, tf.int64), indices)
    return tf.one_hot(wrapped, depth, on_value=values[1], off_value=values[0], axis=node.get("axis", -1))


OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "Concat": _concat,
        "Constant": _constant,
        "ConstantOfShape": _constant_of_shape,
        "Expand": _expand,
        "Flatten": _flatten,
        "Gather": _gather,
        "GatherElements": _gather_elements,
        "GatherND": _gather_nd,
        "NonZero": lambda node, value: tf.transpose(tf.where(tf.cast(value, tf.bool))),
        "OneHot": _one_hot,
        "Pad": _pad,
        "Range": _range,
        "Reshape": _reshape,
        "ScatterElements": _scatter_elements,
        "ScatterND": _scatter_nd,
        "Shape": _shape,
        "Size": lambda node, value: tf.size(value, out_type=tf.int64),
        "Slice": _slice,
        "Split": _split,
        "Squeeze": _squeeze,
        "Tile": lambda node, value, repeats: tf.tile(value, repeats),
        "Transpose": _transpose,
        "Trilu": _trilu,
        "Unsqueeze": _unsqueeze,
    }
)
