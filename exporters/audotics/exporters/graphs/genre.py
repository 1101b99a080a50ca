"""The graph of the genre classifier: its arrays go in, `model.onnx` from features to probabilities comes out."""

from __future__ import annotations

import onnx

from audotics.exporters.graphs.builder import GraphBuilder
from audotics.exporters.graphs.preprocessing import FEATURES, PREPROCESSED, behind_preprocessing, model_of
from audotics.models.boosted_trees import BoostedTrees
from audotics.models.gaussians import Gaussians
from audotics.models.genre import GenreModel
from audotics.models.kernel_machine import KernelMachine

PROBABILITIES = "probabilities"

_UNPROCESSED = "unprocessed"
"""The features once more, for experts that do not want them preprocessed, until both graphs are one."""


def genre_graph(model: GenreModel) -> onnx.ModelProto:
    """features float32 (batch, f), NaN where unknown -> probabilities float32 (batch, classes)."""
    joined = behind_preprocessing(model.preprocessing, model_of(_head(model)))
    return joined if model.trees is None else _tied(joined, _UNPROCESSED, to=FEATURES)


def _head(model: GenreModel) -> GraphBuilder:
    graph = GraphBuilder("genre")
    experts, size = model.experts, model.preprocessing.n_components
    points = graph.input(PREPROCESSED, "float32", ["batch", size])
    white = graph.node("MatMul", points, graph.constant(experts.white))
    scores = [
        _machine(graph, points, experts.machine),
        _machine(graph, white, experts.whitened_machine),
        _gaussians(graph, white, experts.gaussians),
    ]
    if model.trees is not None:
        features = graph.input(_UNPROCESSED, "float32", ["batch", model.preprocessing.n_features])
        scores.append(_trees(graph, features, model.trees))
    weighed = [
        graph.node("Mul", value, graph.constant(float(weight)))
        for value, weight in zip(scores, model.pool, strict=True)
    ]
    logits = graph.node("Sum", *weighed)
    graph.node("Softmax", logits, to=PROBABILITIES, axis=1)
    graph.output(PROBABILITIES, ["batch", len(model.class_names)])
    return graph


def _machine(graph: GraphBuilder, points: str, machine: KernelMachine) -> str:
    """Scores (batch, classes), as `KernelMachine.scores`."""
    own = graph.sum(graph.node("Mul", points, points), axis=1, keep=True)
    cross = graph.node("MatMul", points, graph.constant(2.0 * machine.anchors.T))
    squares = graph.node("Add", own, graph.constant((machine.anchors**2).sum(axis=1)))
    distances = graph.node("Max", graph.node("Sub", squares, cross), graph.constant(0.0))
    kernel = graph.node("Exp", graph.node("Mul", distances, graph.constant(-machine.gamma)))
    return graph.node(
        "Add", graph.node("MatMul", kernel, graph.constant(machine.weights)), graph.constant(machine.bias)
    )


def _gaussians(graph: GraphBuilder, points: str, gaussians: Gaussians) -> str:
    """Scores (batch, classes), as `Gaussians.scores`, each by way of (classes, batch, p)."""
    moved = graph.node("MatMul", points, graph.constant(gaussians.factors))
    centred = graph.node("Sub", moved, graph.constant(gaussians.centres[:, None, :]))
    distances = graph.sum(graph.node("Mul", centred, centred), axis=2)
    halved = graph.node("Mul", graph.node("Transpose", distances), graph.constant(-0.5))
    return graph.node("Add", halved, graph.constant(gaussians.offsets))


def _trees(graph: GraphBuilder, features: str, trees: BoostedTrees) -> str:
    """Scores (batch, classes), as `BoostedTrees.scores`: all trees are walked down at once, level by level."""
    known = graph.node("Where", graph.node("IsNaN", features), graph.constant(trees.fill), features)
    child, feature = graph.constant(trees.child), graph.constant(trees.feature)
    threshold, value = graph.constant(trees.threshold), graph.constant(trees.value)
    one, none = graph.constant(1), graph.constant(0)
    roots = trees.roots.ravel()
    found = graph.node("Gather", known, graph.constant(trees.feature[roots]), axis=1)
    above = graph.node("Greater", found, graph.constant(trees.threshold[roots]))
    at = graph.node("Add", graph.constant(trees.child[roots]), graph.node("Where", above, one, none))
    for _ in range(trees.depth - 1):
        found = graph.node("GatherElements", known, graph.node("Gather", feature, at), axis=1)
        above = graph.node("Greater", found, graph.node("Gather", threshold, at))
        at = graph.node("Add", graph.node("Gather", child, at), graph.node("Where", above, one, none))
    reached = graph.node("Reshape", graph.node("Gather", value, at), graph.constant([0, *trees.roots.shape]))
    return graph.node("Add", graph.sum(reached, axis=1), graph.constant(trees.baseline))


def _tied(model: onnx.ModelProto, name: str, *, to: str) -> onnx.ModelProto:
    """`model` with what its input `name` is for taken from its input `to`."""
    (tied,) = (value for value in model.graph.input if value.name == name)
    model.graph.input.remove(tied)
    for node in model.graph.node:
        node.input[:] = [to if operand == name else operand for operand in node.input]
    return model
