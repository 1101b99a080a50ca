"""Operators that act on each element: arithmetic, comparisons, logic, activations and casts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from types import MappingProxyType
from typing import Any, Final

import tensorflow as tf
from onnx import helper

from audotics.exporters.tensorflow_ops.node import Node, Operator, UnsupportedError, Value


def _plain(function: Callable[..., Any]) -> Operator:
    """An operator without attributes."""
    return lambda node, *inputs: function(*inputs)


def _folded(function: Callable[..., Any]) -> Operator:
    """An operator of two inputs that ONNX lets have any number."""
    return lambda node, *inputs: reduce(function, inputs[1:], tf.convert_to_tensor(inputs[0]))


def _divide(node: Node, left: Value, right: Value) -> Any:
    left = tf.convert_to_tensor(left)
    return tf.truncatediv(left, right) if left.dtype.is_integer else tf.divide(left, right)


def _modulo(node: Node, left: Value, right: Value) -> Any:
    """`fmod` has the sign of the left side, as C has it; without it that of the right side."""
    return tf.truncatemod(left, right) if node.get("fmod", 0) else tf.math.floormod(left, right)


def _power(node: Node, base: Value, exponent: Value) -> Any:
    base = tf.convert_to_tensor(base)
    exponent = tf.convert_to_tensor(exponent)
    if base.dtype.is_integer and exponent.dtype.is_floating:
        return tf.cast(tf.pow(tf.cast(base, exponent.dtype), exponent), base.dtype)
    return tf.pow(base, tf.cast(exponent, base.dtype))


def _mean(node: Node, *inputs: Value) -> Any:
    return reduce(tf.add, inputs) / tf.constant(len(inputs), inputs[0].dtype)


def _clip(node: Node, value: Value, smallest: Value = None, largest: Value = None) -> Any:
    value = tf.convert_to_tensor(value)
    if smallest is not None:
        value = tf.maximum(value, smallest)
    return value if largest is None else tf.minimum(value, largest)


def _cast(node: Node, value: Value) -> Any:
    number = node.get("to", None)
    try:
        dtype = tf.as_dtype(helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, TypeError) as error:
        raise UnsupportedError(f"type {number!r} is not one of TensorFlow's") from error
    if dtype == tf.string:
        raise UnsupportedError("text is not converted")
    value = tf.convert_to_tensor(value)
    return tf.not_equal(value, tf.zeros((), value.dtype)) if dtype == tf.bool else tf.cast(value, dtype)


def _gelu(node: Node, value: Value) -> Any:
    return tf.nn.gelu(value, approximate=node.get("approximate", "none") == "tanh")


def _leaky_relu(node: Node, value: Value) -> Any:
    return tf.nn.leaky_relu(value, alpha=node.get("alpha", 0.01))


def _elu(node: Node, value: Value) -> Any:
    alpha = tf.constant(node.get("alpha", 1.0), value.dtype)
    return tf.where(value > 0, value, alpha * tf.math.expm1(tf.minimum(value, 0)))


def _hard_sigmoid(node: Node, value: Value) -> Any:
    return tf.clip_by_value(node.get("alpha", 0.2) * value + node.get("beta", 0.5), 0, 1)


def _dropout(node: Node, value: Value, ratio: Value = None, training: Value = None) -> Any:
    """Exported models are not in training, so that nothing is dropped. The second output says what was kept."""
    return (tf.identity(value), tf.ones_like(value, tf.bool))[: len(node.outputs)]


OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "Abs": _plain(tf.abs),
        "Add": _plain(tf.add),
        "And": _plain(tf.logical_and),
        "Cast": _cast,
        "CastLike": lambda node, value, like: tf.cast(value, like.dtype),
        "Ceil": _plain(tf.math.ceil),
        "Clip": _clip,
        "Cos": _plain(tf.cos),
        "Div": _divide,
        "Dropout": _dropout,
        "Elu": _elu,
        "Equal": _plain(tf.equal),
        "Erf": _plain(tf.math.erf),
        "Exp": _plain(tf.exp),
        "Floor": _plain(tf.math.floor),
        "Gelu": _gelu,
        "Greater": _plain(tf.greater),
        "GreaterOrEqual": _plain(tf.greater_equal),
        "HardSigmoid": _hard_sigmoid,
        "Identity": _plain(tf.identity),
        "IsInf": _plain(tf.math.is_inf),
        "IsNaN": _plain(tf.math.is_nan),
        "LeakyRelu": _leaky_relu,
        "Less": _plain(tf.less),
        "LessOrEqual": _plain(tf.less_equal),
        "Log": _plain(tf.math.log),
        "Max": _folded(tf.maximum),
        "Mean": _mean,
        "Min": _folded(tf.minimum),
        "Mod": _modulo,
        "Mul": _plain(tf.multiply),
        "Neg": _plain(tf.negative),
        "Not": _plain(tf.logical_not),
        "Or": _plain(tf.logical_or),
        "Pow": _power,
        "PRelu": lambda node, value, slope: tf.where(value < 0, slope * value, value),
        "Reciprocal": _plain(tf.math.reciprocal),
        "Relu": _plain(tf.nn.relu),
        "Round": _plain(tf.round),
        "Sigmoid": _plain(tf.sigmoid),
        "Sign": _plain(tf.sign),
        "Sin": _plain(tf.sin),
        "Softplus": _plain(tf.nn.softplus),
        "Softsign": _plain(tf.nn.softsign),
        "Sqrt": _plain(tf.sqrt),
        "Sub": _plain(tf.subtract),
        "Sum": _folded(tf.add),
        "Tanh": _plain(tf.tanh),
        "Where": _plain(tf.where),
        "Xor": _plain(tf.math.logical_xor),
    }
)
