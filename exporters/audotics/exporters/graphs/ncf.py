"""The graph of NCF: histories and pairs of a listener and a track go in, a logit a pair comes out, as `Ncf` does it.

Each listener is encoded once, however many tracks are scored. What the tower's first layer makes of a track does not
depend on the listener, so it is computed here, once for all, and stored in place of the track's embedding.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import nn

from audotics.exporters.graphs.builder import GraphBuilder, masked_rows, with_zero_row
from audotics.models.ncf import Ncf

PRECOMPUTED_TRACKS: Final = 200_000
"""Beyond this many tracks the stored layer, twice as wide as the embedding, costs more memory than it saves work."""


def ncf_graph(model: Ncf, *, precomputed_tracks: int = PRECOMPUTED_TRACKS) -> GraphBuilder:
    """The graph of `model`.

    history int64 (users, length), padded with PADDING; user_index int64 (rows,), the row of `history` that is the
    listener; track int64 (rows,) -> logit float32 (rows,).
    """
    size = model.gmf_track.embedding_dim
    graph = GraphBuilder("ncf")
    history = graph.input("history", "int64", ["users", "length"])
    user_index = graph.input("user_index", "int64", ["rows"])
    track = graph.input("track", "int64", ["rows"])

    def of_track(table: NDArray[np.float32]) -> str:
        return graph.node("Gather", graph.constant(table), track, axis=0)

    gmf, mlp = _listeners(graph, model, history, size)
    first_listener = graph.linear(mlp, _array(model.first_listener.weight), _array(model.first_listener.bias))
    first = graph.node(
        "Add",
        graph.node("Gather", first_listener, user_index, axis=0),
        of_track(_array(model.mlp_track.weight) @ _array(model.first_track.weight).T)
        if model.n_tracks <= precomputed_tracks
        else graph.linear(of_track(_array(model.mlp_track.weight)), _array(model.first_track.weight)),
    )
    hidden = graph.node("Relu", first)
    for layer in (model.second, model.third):
        hidden = graph.node("Relu", graph.linear(hidden, _array(layer.weight), _array(layer.bias)))
    last_axis = graph.constant([1])
    deep = graph.node("Squeeze", graph.linear(hidden, _array(model.output.weight)), last_axis)
    product = graph.node("Mul", graph.node("Gather", gmf, user_index, axis=0), of_track(_array(model.gmf_track.weight)))
    bias = of_track(_array(model.track_bias.weight)[:, 0])
    linear = graph.node("Add", graph.sum(product, axis=1), bias)
    graph.node("Add", linear, deep, to="logit")
    graph.output("logit", ["rows"])
    return graph


def _listeners(graph: GraphBuilder, model: Ncf, history: str, size: int) -> tuple[str, str]:
    """The two branches' vectors (users, size): sums over the history, divided by the root of its length."""
    rows, known = masked_rows(graph, history, n_tracks=model.n_tracks)
    branches = (model.gmf_history, model.mlp_history)
    table = np.concatenate([_array(branch.weight)[: model.n_tracks] for branch in branches], axis=1)
    summed = graph.sum(graph.node("Gather", graph.constant(with_zero_row(table)), rows, axis=0), axis=1)
    length = graph.sum(graph.node("Where", known, graph.constant(1.0), graph.constant(0.0)), axis=1, keep=True)
    root = graph.node("Sqrt", graph.node("Max", length, graph.constant(1.0)))
    both = graph.node("Div", summed, root)
    axis = graph.constant([1])
    cut, end = graph.constant([size]), graph.constant([2 * size])
    return (
        graph.node("Slice", both, graph.constant([0]), cut, axis),
        graph.node("Slice", both, cut, end, axis),
    )


def _array(parameter: nn.Parameter) -> NDArray[np.float32]:
    array: NDArray[np.float32] = parameter.detach().numpy()
    return array
