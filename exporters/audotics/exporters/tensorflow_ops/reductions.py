"""Operators that bring axes together: sums and the like, orderings, matrix products, normalisations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import tensorflow as tf

from audotics.exporters.tensorflow_ops.node import Node, Operator, Value, axes_of, integers, rank, size_of


def _reduced(function: Callable[..., Any]) -> Operator:
    """A reduction over 'axes', or over all axes without them."""

    def reduce(node: Node, value: Value, axes: Value = None) -> Any:
        given = axes_of(node, axes)
        if not given:
            if node.get("noop_with_empty_axes", 0):
                return tf.identity(value)
            given = None
        return function(value, axis=given, keepdims=bool(node.get("keepdims", 1)))

    return reduce


def _place(function: Callable[..., Any]) -> Operator:
    """Where the extreme stands, the first of several unless the last is asked for."""

    def find(node: Node, value: Value) -> Any:
        axis = node.get("axis", 0)
        if node.get("select_last_index", 0):
            last = size_of(value, axis) - 1
            place = last - function(tf.reverse(value, [axis]), axis=axis, output_type=tf.int64)
        else:
            place = function(value, axis=axis, output_type=tf.int64)
        return tf.expand_dims(place, axis) if node.get("keepdims", 1) else place

    return find


def _matmul(node: Node, left: Value, right: Value) -> Any:
    """As NumPy's: vectors become a row or a column and lose that axis again."""
    row, column = rank(left) == 1, rank(right) == 1
    product = tf.matmul(left[None, :] if row else left, right[:, None] if column else right)
    if row:
        product = tf.squeeze(product, -2)
    return tf.squeeze(product, -1) if column else product


def _gemm(node: Node, left: Value, right: Value, bias: Value = None) -> Any:
    flags = {"transpose_a": bool(node.get("transA", 0)), "transpose_b": bool(node.get("transB", 0))}
    product = tf.matmul(left, right, **flags)
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if alpha != 1.0:
        product = alpha * product
    if bias is None:
        return product
    return product + (bias if beta == 1.0 else beta * bias)


def _layer_normalization(node: Node, value: Value, scale: Value, bias: Value = None) -> Any:
    first = node.get("axis", -1)
    axes = list(range(first % rank(value), rank(value)))
    mean, variance = tf.nn.moments(value, axes=axes, keepdims=True)
    inverse = tf.math.rsqrt(variance + node.get("epsilon", 1e-5))
    normalised = (value - mean) * inverse * scale
    return (normalised if bias is None else normalised + bias, mean, inverse)[: len(node.outputs)]


def _lp_normalization(node: Node, value: Value) -> Any:
    axis = node.get("axis", -1)
    order = 1 if node.get("p", 2) == 1 else "euclidean"
    return tf.math.divide_no_nan(value, tf.norm(value, ord=order, axis=axis, keepdims=True))


def _cumulative_sum(node: Node, value: Value, axis: Value) -> Any:
    (place,) = integers(axis, what="'axis'")
    return tf.cumsum(value, place, exclusive=bool(node.get("exclusive", 0)), reverse=bool(node.get("reverse", 0)))


def _top_k(node: Node, value: Value, k: Value) -> Any:
    axis = node.get("axis", -1) % rank(value)
    largest = node.get("largest", 1)
    order = [number for number in range(rank(value)) if number != axis] + [axis]
    back = [order.index(number) for number in range(rank(value))]
    last = tf.transpose(value, order)
    found, rows = tf.math.top_k(last if largest else -last, tf.reshape(tf.cast(k, tf.int32), ()))
    found = found if largest else -found
    return tf.transpose(found, back), tf.cast(tf.transpose(rows, back), tf.int64)


def _l1(value: Value, axis: list[int] | None, keepdims: bool) -> Any:
    return tf.reduce_sum(tf.abs(value), axis=axis, keepdims=keepdims)


def _sum_of_squares(value: Value, axis: list[int] | None, keepdims: bool) -> Any:
    return tf.reduce_sum(tf.square(value), axis=axis, keepdims=keepdims)


def _l2(value: Value, axis: list[int] | None, keepdims: bool) -> Any:
    return tf.sqrt(_sum_of_squares(value, axis, keepdims))


OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "ArgMax": _place(tf.argmax),
        "ArgMin": _place(tf.argmin),
        "CumSum": _cumulative_sum,
        "Einsum": lambda node, *inputs: tf.einsum(node.get("equation", ""), *inputs),
        "Gemm": _gemm,
        "LayerNormalization": _layer_normalization,
        "LogSoftmax": lambda node, value: tf.nn.log_softmax(value, axis=node.get("axis", -1)),
        "LpNormalization": _lp_normalization,
        "MatMul": _matmul,
        "ReduceL1": _reduced(_l1),
        "ReduceL2": _reduced(_l2),
        "ReduceLogSumExp": _reduced(tf.reduce_logsumexp),
        "ReduceMax": _reduced(tf.reduce_max),
        "ReduceMean": _reduced(tf.reduce_mean),
        "ReduceMin": _reduced(tf.reduce_min),
        "ReduceProd": _reduced(tf.reduce_prod),
        "ReduceSum": _reduced(tf.reduce_sum),
        "ReduceSumSquare": _reduced(_sum_of_squares),
        "Softmax": lambda node, value: tf.nn.softmax(value, axis=node.get("axis", -1)),
        "TopK": _top_k,
    }
)
