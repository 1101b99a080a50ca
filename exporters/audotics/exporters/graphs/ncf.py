"""The graph of NCF: histories and pairs of a listener and a track go in, a logit a pair comes out, as `Ncf` does it.

Each listener is encoded once, however many tracks are scored. What the tower's first layer makes of a track does not
depend on the listener, so it is computed here, once for all, and stored in place of the track's embedding. The vectors
of the listeners are an output of their own, which costs nothing where it is not asked for.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audotics.exporters.graphs.builder import GraphBuilder, masked_rows, with_zero_row
from audotics.features.history import MAX_HISTORY
from audotics.models.ncf import Ncf, recency_step

PRECOMPUTED_TRACKS: Final = 200_000
"""Beyond this many tracks the stored layer, twice as wide as the embedding, costs more memory than it saves work."""


def ncf_graph(model: Ncf, *, precomputed_tracks: int = PRECOMPUTED_TRACKS) -> GraphBuilder:
    """The graph of `model`.

    history int64 (users, length), padded with PADDING, oldest track first; user_index int64 (rows,), the row of
    `history` that is the listener; track int64 (rows,) -> logit float32 (rows,), and user_vector float32 (users, d):
    the listener's vector of the GMF branch with that of the MLP branch behind it.
    """
    graph = GraphBuilder("ncf")
    history = graph.input("history", "int64", ["users", "length"])
    user_index = graph.input("user_index", "int64", ["rows"])
    track = graph.input("track", "int64", ["rows"])

    def of_track(table: NDArray[np.float32]) -> str:
        return graph.node("Gather", graph.constant(table), track, axis=0)

    gmf, mlp, width = _listeners(graph, model, history)
    first_listener = graph.linear(mlp, _array(model.first_listener.weight), _array(model.first_listener.bias))
    first = graph.node(
        "Add",
        graph.node("Gather", first_listener, user_index, axis=0),
        of_track(_table(model, "mlp_track") @ _array(model.first_track.weight).T)
        if model.n_tracks <= precomputed_tracks
        else graph.linear(of_track(_table(model, "mlp_track")), _array(model.first_track.weight)),
    )
    hidden = graph.node("Relu", first)
    for layer in (model.second, model.third):
        hidden = graph.node("Relu", graph.linear(hidden, _array(layer.weight), _array(layer.bias)))
    last_axis = graph.constant([1])
    deep = graph.node("Squeeze", graph.linear(hidden, _array(model.output.weight)), last_axis)
    product = graph.node("Mul", graph.node("Gather", gmf, user_index, axis=0), of_track(_table(model, "gmf_track")))
    bias = of_track(_array(model.track_bias.weight)[:, 0])
    linear = graph.node("Add", graph.sum(product, axis=1), bias)
    graph.node("Add", linear, deep, to="logit")
    graph.output("logit", ["rows"])
    graph.output("user_vector", ["users", width])
    return graph


def _listeners(graph: GraphBuilder, model: Ncf, history: str) -> tuple[str, str, int]:
    """The two branches' vectors, and the width of both: sums over the history, divided by the root of its length."""
    rows, known = masked_rows(graph, history, n_tracks=model.n_tracks)
    table = np.concatenate([_table(model, name) for name in ("gmf_history", "mlp_history")], axis=1)
    embedded = graph.node("Gather", graph.constant(with_zero_row(table)), rows, axis=0)
    one_each = graph.node("Where", known, graph.constant(1.0), graph.constant(0.0))
    summed = graph.sum(_by_recency(graph, model, embedded, known), axis=1)
    root = graph.node("Sqrt", graph.node("Max", graph.sum(one_each, axis=1, keep=True), graph.constant(1.0)))
    both = graph.node("Div", summed, root, to="user_vector")
    axis, size, width = graph.constant([1]), model.gmf_history.embedding_dim, table.shape[1]
    cut, end = graph.constant([size]), graph.constant([width])
    return (
        graph.node("Slice", both, graph.constant([0]), cut, axis),
        graph.node("Slice", both, cut, end, axis),
        width,
    )


def _by_recency(graph: GraphBuilder, model: Ncf, embedded: str, known: str) -> str:
    """`embedded` (users, length, width), each track weighed by how many of the `known` places come after its own."""
    recency = _array(model.recency)
    if (recency == 1.0).all():
        return embedded
    # At MAX_HISTORY the weights have reached their last step, so older tracks count as one of that age.
    ages = graph.constant(recency[recency_step(torch.arange(MAX_HISTORY)).numpy()])
    counted = graph.node("Where", known, graph.constant(1), graph.constant(0))
    later = graph.node("CumSum", counted, graph.constant(1), exclusive=1, reverse=1)
    age = graph.node("Min", later, graph.constant(MAX_HISTORY - 1))
    weights = graph.node("Gather", ages, age, axis=0)
    return graph.node("Mul", embedded, graph.node("Unsqueeze", weights, graph.constant([2])))


def _table(model: Ncf, name: str) -> NDArray[np.float32]:
    """A table of track embeddings with what the attributes add."""
    return _array(model.table(name))


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array
