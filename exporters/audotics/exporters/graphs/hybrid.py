"""The graph of the hybrid's gate: scores and situation go in; weights, score and confidence come out, as in `Gate`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audotics.exporters.graphs.builder import GraphBuilder
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES
from audotics.models.hybrid import Gate


def hybrid_graph(gate: Gate) -> GraphBuilder:
    """components, available (rows, 5) and context (rows, 5) -> weights (rows, 5), score (rows,), confidence (rows,)."""
    graph = GraphBuilder("hybrid")
    components = graph.input("components", "float32", ["rows", len(COMPONENTS)])
    available = graph.input("available", "float32", ["rows", len(COMPONENTS)])
    context = graph.input("context", "float32", ["rows", len(CONTEXT_FEATURES)])

    squashed = graph.node("Tanh", graph.node("Div", components, graph.constant(2 * _array(gate.scale))))
    inputs = graph.node("Concat", squashed, available, context, axis=1)
    hidden = graph.node("Relu", graph.linear(inputs, _array(gate.first.weight), _array(gate.first.bias)))
    raw = graph.node("Softplus", graph.linear(hidden, _array(gate.second.weight), _array(gate.second.bias)))
    weights = graph.node("Mul", graph.node("Div", raw, graph.constant(_array(gate.scale))), available, to="weights")
    score = graph.sum(graph.node("Mul", weights, components), axis=1, to="score")

    slope, of_length, offset = (graph.constant(float(value)) for value in _array(gate.calibration))
    length = graph.node("Gather", context, graph.constant(CONTEXT_FEATURES.index("history_length")), axis=1)
    scaled = graph.node("Add", graph.node("Mul", score, slope), graph.node("Mul", length, of_length))
    graph.node("Sigmoid", graph.node("Add", scaled, offset), to="confidence")

    graph.output("weights", ["rows", len(COMPONENTS)])
    graph.output("score", ["rows"])
    graph.output("confidence", ["rows"])
    return graph


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array
