"""The graph of the text embedding: bags of token ids go in, unit vectors come out, as `TextModel` does it."""

from __future__ import annotations

from audotics.exporters.graphs.builder import GraphBuilder, masked_rows, with_zero_row
from audotics.models.text import TextModel

_NO_LENGTH = 1e-12


def text_graph(model: TextModel) -> GraphBuilder:
    """tokens int64 (batch, length), padded with PADDING -> embedding float32 (batch, d), zeros for an empty bag."""
    graph = GraphBuilder("text")
    tokens = graph.input("tokens", "int64", ["batch", "length"])
    rows, _ = masked_rows(graph, tokens, n_tracks=len(model.table))
    summed = graph.sum(graph.node("Gather", graph.constant(with_zero_row(model.table)), rows, axis=0), axis=1)
    unit_length(graph, summed, to="embedding")
    graph.output("embedding", ["batch", model.table.shape[1]])
    return graph


def unit_length(graph: GraphBuilder, value: str, *, to: str) -> str:
    """`value` (rows, d) divided by the length of each row; a row of zeros stays one."""
    squares = graph.sum(graph.node("Mul", value, value), axis=1, keep=True)
    length = graph.node("Max", graph.node("Sqrt", squares), graph.constant(_NO_LENGTH))
    return graph.node("Div", value, length, to=to)
