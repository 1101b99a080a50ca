"""The graph of sparse neighbours: a history goes in, scores of all tracks come out, as in `NeighboursModel`."""

from __future__ import annotations

import numpy as np

from audotics.exporters.graphs.builder import GraphBuilder, masked_rows, with_zero_row
from audotics.models.neighbours import NeighboursModel


def neighbours_graph(model: NeighboursModel) -> GraphBuilder:
    """history int64 (batch, length), padded with PADDING -> scores float32 (batch, n), 0 for no history."""
    graph = GraphBuilder("neighbours")
    history = graph.input("history", "int64", ["batch", "length"])
    rows, _ = masked_rows(graph, history, n_tracks=len(model))
    neighbours = graph.constant(np.concatenate([model.neighbours, np.zeros_like(model.neighbours[:1])]))
    weights = graph.constant(with_zero_row(model.weights))
    batch = graph.node("Slice", graph.node("Shape", history), graph.constant([0]), graph.constant([1]))
    shape = graph.node("Concat", batch, graph.constant([len(model)]), axis=0)
    graph.node(
        "ScatterElements",
        graph.node("Expand", graph.constant(0.0), shape),
        graph.node("Flatten", graph.node("Gather", neighbours, rows, axis=0), axis=1),
        graph.node("Flatten", graph.node("Gather", weights, rows, axis=0), axis=1),
        axis=1,
        reduction="add",
        to="scores",
    )
    graph.output("scores", ["batch", len(model)])
    return graph
