"""The graph of the genre classifier: its arrays go in, `model.onnx` from features to probabilities comes out."""

from __future__ import annotations

import onnx

from audotics.exporters.graphs.builder import GraphBuilder
from audotics.exporters.graphs.preprocessing import PREPROCESSED, behind_preprocessing, model_of
from audotics.models.gaussians import Gaussians
from audotics.models.genre import GenreModel
from audotics.models.kernel_machine import KernelMachine

PROBABILITIES = "probabilities"


def genre_graph(model: GenreModel) -> onnx.ModelProto:
    """features float32 (batch, f), NaN where unknown -> probabilities float32 (batch, classes)."""
    return behind_preprocessing(model.preprocessing, model_of(_head(model)))


def _head(model: GenreModel) -> GraphBuilder:
    graph = GraphBuilder("genre")
    experts, size = model.experts, model.preprocessing.n_components
    points = graph.input(PREPROCESSED, "float32", ["batch", size])
    white = graph.node("MatMul", points, graph.constant(experts.white))
    scores = (
        _machine(graph, points, experts.machine),
        _machine(graph, white, experts.whitened_machine),
        _gaussians(graph, white, experts.gaussians),
    )
    weighed = [
        graph.node("Mul", value, graph.constant(float(weight)))
        for value, weight in zip(scores, model.pool, strict=True)
    ]
    logits = graph.node("Add", graph.node("Add", weighed[0], weighed[1]), weighed[2])
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
