"""The graph of a BERT encoder with mean pooling: its weights go in, `model.onnx` comes out.

Written by hand like the others, after Devlin et al. 2019: `torch.onnx.export` was tried, but its older exporter is
deprecated, and the newer one took 40 seconds for two tiny layers and failed where warnings are errors.
"""

from __future__ import annotations

from typing import Any, Final

from audotics.exporters.errors import ExportError
from audotics.exporters.graphs.builder import GraphBuilder
from audotics.exporters.graphs.text import unit_length
from audotics.models.bert import BertEncoder

ACTIVATIONS: Final = ("gelu", "relu")

_MASKED: Final = -1e9
_HEADS_FIRST: Final[Any] = [0, 2, 1, 3]
_KEYS_LAST: Final[Any] = [0, 2, 3, 1]


def bert_graph(encoder: BertEncoder) -> GraphBuilder:
    """input_ids, attention_mask int64 (batch, length) -> embedding float32 (batch, d), of unit length.

    Raises ExportError when the network has an activation that is not in ACTIVATIONS.
    """
    config = encoder.network.bert.config
    if config.hidden_act not in ACTIVATIONS:
        raise ExportError(
            f"bert: the encoder's activation is {config.hidden_act!r}, and only {', '.join(ACTIVATIONS)} can be "
            "exported; train with another encoder"
        )
    graph = GraphBuilder("bert")
    ids = graph.input("input_ids", "int64", ["batch", "length"])
    mask = graph.input("attention_mask", "int64", ["batch", "length"])
    padding = graph.node("Equal", mask, graph.constant(0))
    zero, one = graph.constant(0.0), graph.constant(1.0)
    blocked = graph.node("Unsqueeze", padding, graph.constant([1, 2]))
    layers = _Layers(graph, encoder, graph.node("Where", blocked, graph.constant(_MASKED), zero))
    states = layers.embedded(ids)
    for number in range(config.num_hidden_layers):
        states = layers.block(f"encoder.layer.{number}", states)
    kept = graph.node("Where", graph.node("Unsqueeze", padding, graph.constant([2])), zero, one)
    count = graph.node("Max", graph.sum(kept, axis=1), one)
    mean = graph.node("Div", graph.sum(graph.node("Mul", states, kept), axis=1), count)
    unit_length(graph, mean, to="embedding")
    graph.output("embedding", ["batch", config.hidden_size])
    return graph


class _Layers:
    """The encoder's layers, put into `graph` by the names of their weights; `mask` is added to attention's logits."""

    def __init__(self, graph: GraphBuilder, encoder: BertEncoder, mask: str) -> None:
        self.graph, self.mask = graph, mask
        self.config = encoder.network.bert.config
        self.weights = {name: value.numpy() for name, value in encoder.network.bert.state_dict().items()}
        heads = int(self.config.num_attention_heads)
        self.split = graph.constant([0, 0, heads, self.config.hidden_size // heads])
        self.joined = graph.constant([0, 0, self.config.hidden_size])
        self.scale = graph.constant((self.config.hidden_size // heads) ** -0.5)

    def embedded(self, ids: str) -> str:
        """(batch, length, d): word, position and the first of the two token types."""
        graph, tables = self.graph, "embeddings.{}_embeddings.weight"
        words = graph.node("Gather", graph.constant(self.weights[tables.format("word")]), ids, axis=0)
        length = graph.node("Slice", graph.node("Shape", ids), graph.constant([1]), graph.constant([2]))
        places = self.weights[tables.format("position")] + self.weights[tables.format("token_type")][0]
        placed = graph.node("Slice", graph.constant(places), graph.constant([0]), length, graph.constant([0]))
        return self.normalised("embeddings", graph.node("Add", words, placed))

    def block(self, name: str, states: str) -> str:
        """Self-attention and the two dense layers, each added to what it was given."""
        graph = self.graph
        attended = self.dense(f"{name}.attention.output.dense", self._attention(f"{name}.attention.self", states))
        states = self.normalised(f"{name}.attention.output", graph.node("Add", attended, states))
        hidden = self._activation(self.dense(f"{name}.intermediate.dense", states))
        return self.normalised(f"{name}.output", graph.node("Add", self.dense(f"{name}.output.dense", hidden), states))

    def dense(self, name: str, value: str) -> str:
        weight, bias = (self.graph.constant(self.weights[f"{name}.{part}"].T) for part in ("weight", "bias"))
        return self.graph.node("Add", self.graph.node("MatMul", value, weight), bias)

    def normalised(self, name: str, value: str) -> str:
        weight, bias = (self.graph.constant(self.weights[f"{name}.LayerNorm.{part}"]) for part in ("weight", "bias"))
        epsilon = float(self.config.layer_norm_eps)
        return self.graph.node("LayerNormalization", value, weight, bias, axis=-1, epsilon=epsilon)

    def _attention(self, name: str, states: str) -> str:
        graph = self.graph
        query, key, value = (self.dense(f"{name}.{part}", states) for part in ("query", "key", "value"))
        query, value = (self._heads(part, _HEADS_FIRST) for part in (query, value))
        logits = graph.node("Mul", graph.node("MatMul", query, self._heads(key, _KEYS_LAST)), self.scale)
        shares = graph.node("Softmax", graph.node("Add", logits, self.mask), axis=-1)
        mixed = graph.node("Transpose", graph.node("MatMul", shares, value), perm=_HEADS_FIRST)
        return graph.node("Reshape", mixed, self.joined)

    def _heads(self, value: str, order: Any) -> str:
        return self.graph.node("Transpose", self.graph.node("Reshape", value, self.split), perm=order)

    def _activation(self, value: str) -> str:
        graph = self.graph
        if self.config.hidden_act == "relu":
            return graph.node("Relu", value)
        error = graph.node("Erf", graph.node("Mul", value, graph.constant(0.5**0.5)))
        share = graph.node("Mul", graph.node("Add", error, graph.constant(1.0)), graph.constant(0.5))
        return graph.node("Mul", value, share)
