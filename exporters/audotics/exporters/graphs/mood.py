"""The graph of the mood classifier: the arrays of its layers go in, `model.onnx` comes out."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from audotics.exporters.graphs.builder import GraphBuilder
from audotics.features.moods import MOODS
from audotics.models.mood import MoodModel, family_matrix
from audotics.models.mood_layers import CLIP


def mood_graph(model: MoodModel) -> GraphBuilder:
    """features float32 (batch, f), NaN where unknown -> probabilities float32 (batch, 8)."""
    mean, scale = _weights(model, "standardise")
    (rules,) = _weights(model, "rules")
    (temperature,) = _weights(model, "probabilities")
    graph = GraphBuilder("mood")
    features = graph.input("features", "float32", ["batch", len(mean)])
    unknown = graph.node("IsNaN", features)
    completed = graph.node("Where", unknown, graph.constant(mean), features)
    standardised = graph.node("Div", graph.node("Sub", completed, graph.constant(mean)), graph.constant(scale))
    raised = graph.node("Max", standardised, graph.constant(-CLIP))
    values = graph.node("Min", raised, graph.constant(CLIP))
    learnt = _mean_of_members(graph, model, features=features, values=values, unknown=unknown)
    scores = graph.node("MatMul", values, graph.constant(rules))
    of_family = graph.constant(family_matrix())
    to_moods = graph.constant(family_matrix().T)
    start = graph.node("Log", graph.node("MatMul", graph.node("Exp", scores), of_family))
    logits = graph.node("Div", graph.node("Add", learnt, start), graph.constant(temperature))
    families = graph.node("LogSoftmax", logits, axis=1)
    within = graph.node("Sub", scores, graph.node("MatMul", start, to_moods))
    graph.node("Exp", graph.node("Add", graph.node("MatMul", families, to_moods), within), to="probabilities")
    graph.output("probabilities", ["batch", len(MOODS)])
    return graph


def _mean_of_members(graph: GraphBuilder, model: MoodModel, *, features: str, values: str, unknown: str) -> str:
    """What members add to the families' logits (batch, 4), computed as (members, batch, ·)."""
    used, thresholds = _weights(model, "thermometer")
    (hidden, hidden_bias), (out, out_bias) = _weights(model, "hidden"), _weights(model, "learnt")
    members, size, steps = thresholds.shape
    kept = graph.node("Where", unknown, graph.constant(0.0), graph.constant(used))
    # The codes of a feature are its steps and then its value, in one row of the layer's weights.
    weights = hidden.reshape(members, size, steps + 1, -1)
    of_steps = weights[:, :, :steps].reshape(members, size * steps, -1)
    of_value = weights[:, :, steps] / 2.0
    around = graph.constant([0, 3])
    wide = graph.node("Unsqueeze", features, around)
    above = graph.node("Greater", wide, graph.constant(thresholds[:, None]))
    signs = graph.node("Where", above, graph.constant(0.5), graph.constant(-0.5))
    codes = graph.node("Mul", signs, graph.node("Unsqueeze", kept, around))
    flat = graph.node("Reshape", codes, graph.constant([members, -1, size * steps]))
    by_step = graph.node("MatMul", flat, graph.constant(of_steps))
    by_value = graph.node("MatMul", graph.node("Mul", values, kept), graph.constant(of_value))
    before = graph.node("Add", graph.node("Add", by_step, by_value), graph.constant(hidden_bias[:, None]))
    after = graph.node("MatMul", graph.node("Relu", before), graph.constant(out))
    learnt = graph.node("Add", after, graph.constant(out_bias[:, None]))
    return graph.node("Mul", graph.sum(learnt, axis=0), graph.constant(1.0 / members))


def _weights(model: MoodModel, layer: str) -> list[NDArray[Any]]:
    weights: list[NDArray[Any]] = model.network.get_layer(layer).get_weights()
    return weights
