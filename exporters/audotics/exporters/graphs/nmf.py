"""The graph of NMF: a history goes in, a listener's vector comes out, as in `NmfModel`, with the same updates."""

from __future__ import annotations

from audotics.exporters.graphs.builder import GraphBuilder, masked_rows, with_zero_row
from audotics.models.factors import SMALLEST_LENGTH
from audotics.models.nmf import UPDATES, NmfModel, step


def nmf_graph(model: NmfModel) -> GraphBuilder:
    """history int64 (batch, length), padded with PADDING -> user_vector float32 (batch, d); zero for padding only."""
    n_tracks, size = model.track_factors.shape
    update = step(model.track_factors)
    graph = GraphBuilder("nmf")
    history = graph.input("history", "int64", ["batch", "length"])
    rows, _ = masked_rows(graph, history, n_tracks=n_tracks)
    own = graph.node("Gather", graph.constant(with_zero_row(model.track_factors)), rows, axis=0)
    push = graph.node("Mul", graph.sum(own, axis=1), graph.constant(update.gain))
    matrix, momentum = graph.constant(update.matrix), graph.constant(update.momentum)
    weights = push  # after the first update, which starts from zero
    ahead = graph.node("Mul", push, graph.constant(1.0 + update.momentum))
    for _ in range(UPDATES - 1):
        moved = graph.node("Add", graph.node("MatMul", ahead, matrix), push)
        following = graph.node("Relu", moved)
        change = graph.node("Sub", following, weights)
        ahead = graph.node("Add", following, graph.node("Mul", momentum, change))
        weights = following
    squares = graph.sum(graph.node("Mul", weights, weights), axis=1, keep=True)
    length = graph.node("Max", graph.node("Sqrt", squares), graph.constant(SMALLEST_LENGTH))
    graph.node("Div", weights, length, to="user_vector")
    graph.output("user_vector", ["batch", size])
    return graph
