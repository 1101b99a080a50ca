"""The graph of the sequence model: a history goes in, scores of all tracks come out, as in `SequenceModel`."""

from __future__ import annotations

import numpy as np

from audotics.exporters.graphs.builder import GraphBuilder, masked_rows, with_zero_row
from audotics.models.sequence import SequenceModel


def sequence_graph(model: SequenceModel) -> GraphBuilder:
    """history int64 (batch, length), oldest first, padded with PADDING -> scores float32 (batch, n), 0 for no history.

    Every place of a history is worked on, those beyond the window with no weight: callers cut it to RECENT_TRACKS.
    """
    graph = GraphBuilder("sequence")
    history = graph.input("history", "int64", ["batch", "length"])
    rows, known = masked_rows(graph, history, n_tracks=len(model))
    one, zero = graph.constant(1.0), graph.constant(0.0)
    counted = graph.node("Where", known, one, zero)
    age = graph.node("CumSum", counted, graph.constant(1), exclusive=1, reverse=1)
    recent = graph.node("Less", age, graph.constant(float(model.options.window)))
    decayed = graph.node("Pow", graph.constant(model.options.decay), age)
    weights = graph.node("Mul", counted, graph.node("Where", recent, decayed, zero))

    followers = graph.constant(np.concatenate([model.followers, np.zeros_like(model.followers[:1])]))
    probabilities = graph.constant(with_zero_row(model.probabilities))
    shares = graph.node("Mul", graph.node("Gather", probabilities, rows, axis=0), _columns(graph, weights))
    batch = graph.node("Slice", graph.node("Shape", history), graph.constant([0]), graph.constant([1]))
    nothing = graph.node("Expand", zero, graph.node("Concat", batch, graph.constant([len(model)]), axis=0))
    summed = graph.node(
        "ScatterElements",
        nothing,
        graph.node("Flatten", graph.node("Gather", followers, rows, axis=0), axis=1),
        graph.node("Flatten", shares, axis=1),
        axis=1,
        reduction="add",
    )
    graph.node("Sqrt", summed, to="scores")
    graph.output("scores", ["batch", len(model)])
    return graph


def _columns(graph: GraphBuilder, weights: str) -> str:
    """(batch, length) -> (batch, length, 1)."""
    return graph.node("Unsqueeze", weights, graph.constant([2]))
