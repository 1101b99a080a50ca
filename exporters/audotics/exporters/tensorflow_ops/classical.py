"""Operators of the domain ai.onnx.ml, which scikit-learn's models are written in by skl2onnx."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tensorflow as tf

from audotics.exporters.tensorflow_ops.node import Node, Operator, UnsupportedError, Value


def _scaler(node: Node, value: Value) -> Any:
    offset, scale = (np.asarray(node.get(name, default), np.float32) for name, default in (("offset", 0), ("scale", 1)))
    return (tf.cast(value, tf.float32) - offset) * scale


def _feature_extractor(node: Node, value: Value, columns: Value) -> Any:
    return tf.gather(value, tf.reshape(columns, [-1]), axis=-1)


def _normalizer(node: Node, value: Value) -> Any:
    """Rows of zeros stay zero."""
    norms = {
        "MAX": lambda rows: tf.reduce_max(tf.abs(rows), axis=-1, keepdims=True),
        "L1": lambda rows: tf.reduce_sum(tf.abs(rows), axis=-1, keepdims=True),
        "L2": lambda rows: tf.norm(rows, axis=-1, keepdims=True),
    }
    value = tf.cast(value, tf.float32)
    return tf.math.divide_no_nan(value, norms[node.get("norm", "MAX")](value))


def _linear_classifier(node: Node, value: Value) -> Any:
    """Label (n,) and scores (n, classes), where each class has coefficients of its own."""
    labels = np.asarray(node.get("classlabels_ints", []), np.int64)
    intercepts = np.asarray(node.get("intercepts", []), np.float32)
    if not len(labels) or len(intercepts) != len(labels):
        raise UnsupportedError("only integer labels with coefficients for each class are converted")
    coefficients = np.asarray(node.get("coefficients", []), np.float32).reshape(len(labels), -1)
    scores = tf.cast(value, tf.float32) @ coefficients.T + intercepts
    label = tf.gather(labels, tf.argmax(scores, axis=1))
    return label, _transformed(scores, node.get("post_transform", "NONE"))


def _linear_regressor(node: Node, value: Value) -> Any:
    coefficients = np.asarray(node.get("coefficients", []), np.float32).reshape(node.get("targets", 1), -1)
    scores = tf.cast(value, tf.float32) @ coefficients.T + np.asarray(node.get("intercepts", [0.0]), np.float32)
    return _transformed(scores, node.get("post_transform", "NONE"))


def _transformed(scores: Any, how: str) -> Any:
    functions = {"NONE": tf.identity, "SOFTMAX": tf.nn.softmax, "LOGISTIC": tf.sigmoid}
    if how not in functions:
        raise UnsupportedError(f"post_transform {how!r} is not converted")
    return functions[how](scores)


OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "ai.onnx.ml.ArrayFeatureExtractor": _feature_extractor,
        "ai.onnx.ml.LinearClassifier": _linear_classifier,
        "ai.onnx.ml.LinearRegressor": _linear_regressor,
        "ai.onnx.ml.Normalizer": _normalizer,
        "ai.onnx.ml.Scaler": _scaler,
    }
)
