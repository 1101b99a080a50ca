"""The graph of collaborative factors: a history goes in, a listener's vector comes out, as in `CollaborativeModel`."""

from __future__ import annotations

from audotics.exporters.graphs.builder import GraphBuilder, masked_rows, with_zero_row
from audotics.models.collaborative import CollaborativeModel

_SMALLEST_LENGTH = 1e-6


def collaborative_graph(model: CollaborativeModel) -> GraphBuilder:
    """history int64 (batch, length), padded with PADDING -> user_vector float32 (batch, d); zero for padding only."""
    n_tracks, size = model.history_vectors.shape
    graph = GraphBuilder("collaborative")
    history = graph.input("history", "int64", ["batch", "length"])
    rows, _ = masked_rows(graph, history, n_tracks=n_tracks)
    raw = graph.sum(graph.node("Gather", graph.constant(with_zero_row(model.history_vectors)), rows, axis=0), axis=1)
    length = graph.node("Sqrt", graph.sum(graph.node("Mul", raw, raw), axis=1, keep=True))
    graph.node("Div", raw, graph.node("Max", length, graph.constant(_SMALLEST_LENGTH)), to="user_vector")
    graph.output("user_vector", ["batch", size])
    return graph
