"""The graph of the deep model: listeners, tracks and raw side features go in, probabilities come out.

What the tower's first layer makes of an embedding depends on nothing else, so it is computed here, once for all, and
stored in place of the embedding. The preprocessing stands before it in the same graph.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from audotics.exporters.graphs.builder import GraphBuilder
from audotics.exporters.graphs.preprocessing import PREPROCESSED, behind_preprocessing, model_of
from audotics.models.deep import DeepModel


def deep_graph(model: DeepModel) -> onnx.ModelProto:
    """user, track int64 (batch,), features float32 (batch, f), NaN where unknown -> probability float32 (batch,)."""
    return behind_preprocessing(model.preprocessing, model_of(_network(model)))


def _network(model: DeepModel) -> GraphBuilder:
    graph = GraphBuilder("deep")
    user = graph.input("user", "int64", ["batch"])
    track = graph.input("track", "int64", ["batch"])
    side = graph.input(PREPROCESSED, "float32", ["batch", model.preprocessing.n_components])
    (listeners,) = _weights(model, "listeners")
    (tracks,) = _weights(model, "tracks")
    (of_listener,) = _weights(model, "first_of_listener")
    of_track, bias = _weights(model, "first_of_track")
    size = tracks.shape[1]
    first = graph.node(
        "Add",
        graph.node("Gather", graph.constant(listeners @ of_listener), user, axis=0),
        graph.node("Gather", graph.constant(tracks @ of_track[:size]), track, axis=0),
    )
    hidden = graph.node("Relu", graph.node("Add", first, graph.linear(side, of_track[size:].T, bias)))
    for name in ("second", "third"):
        weight, bias = _weights(model, name)
        hidden = graph.node("Relu", graph.linear(hidden, weight.T, bias))
    weight, bias = _weights(model, "last")
    logit = graph.node("Squeeze", graph.linear(hidden, weight.T, bias), graph.constant([1]))
    graph.node("Sigmoid", logit, to="probability")
    graph.output("probability", ["batch"])
    return graph


def _weights(model: DeepModel, layer: str) -> list[NDArray[np.float32]]:
    """The arrays of a layer: a table, or a weight (i, o) and perhaps a bias (o,)."""
    return [np.asarray(array, np.float32) for array in model.network.get_layer(layer).get_weights()]
