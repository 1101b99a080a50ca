"""The graph of the group model: one group and its candidates go in; scores, weights and compatibility come out.

Members, candidates, the length of histories and the number of events may have any size. See the head of
`audotics.models.group` for the formulas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audotics.exporters.graphs.builder import GraphBuilder, masked_rows
from audotics.models.group import LENGTH_SCALE, SHORTEST, GroupModel


def group_graph(model: GroupModel) -> GraphBuilder:
    """The graph of `model`, with the inputs of `audotics.features.groups.GroupInputs`.

    -> score float32 (candidates,), weights and member_score (members, candidates), compatibility (members, members)
    and group_compatibility (1,).
    """
    return _GroupGraph(model).graph


class _GroupGraph:
    """Writes the graph part by part."""

    def __init__(self, model: GroupModel) -> None:
        self._model = model
        graph = self.graph = GraphBuilder("group")
        self._zero, self._one = graph.constant([0]), graph.constant([1])
        self._track_factors = graph.constant(_array(model.track_factors))
        self._history_factors = graph.constant(_array(model.history_factors))

        history = graph.input("member_history", "int64", ["members", "length"])
        known = graph.input("known", "float32", ["members", "candidates"])
        event = graph.input("event", "int64", ["events"])
        event_weight = graph.input("event_weight", "float32", ["events"])
        event_known = graph.input("event_known", "float32", ["candidates"])
        familiarity = graph.input("familiarity", "float32", ["candidates"])
        candidate = graph.input("candidate", "int64", ["candidates"])

        rows, mask = masked_rows(graph, history, n_tracks=model.n_tracks)
        ones = graph.node("Where", mask, graph.constant(1.0), graph.constant(0.0))
        heard = graph.sum(ones, axis=1)
        listeners, lengths = self._unit(graph.sum(graph.node("Gather", self._history_factors, rows, axis=0), axis=1))
        factors = graph.node("Gather", self._track_factors, candidate, axis=0)
        own = graph.node("Gather", graph.constant(_array(model.own)), candidate, axis=0)
        linear = graph.node("MatMul", listeners, graph.node("Transpose", factors))
        itself = graph.node("Div", graph.node("Mul", known, own), lengths)
        members = graph.node("Sub", linear, itself, to="member_score")

        played, _ = masked_rows(graph, event, n_tracks=model.n_tracks)
        weighted = graph.node("Unsqueeze", event_weight, self._zero)
        raw = graph.node("MatMul", weighted, graph.node("Gather", self._history_factors, played, axis=0))
        group, group_length = self._unit(raw)
        of_group = graph.node("Squeeze", graph.node("MatMul", factors, graph.node("Transpose", group)), self._one)
        own_events = graph.node(
            "Div", graph.node("Mul", event_known, own), graph.node("Squeeze", group_length, self._one)
        )
        of_group = graph.node("Sub", of_group, own_events)
        amount = graph.sum(graph.node("Abs", event_weight), axis=0, keep=True)
        influence = self._influence(listeners, weighted, played, amount)

        logs = graph.node("Div", self._log1p(heard), graph.constant(LENGTH_SCALE))
        vectors = graph.linear(listeners, _array(model.member.weight))
        if model.taste is not None:
            vectors = graph.node("Add", vectors, self._taste())
        weights = self._attention(vectors, factors, members, influence, logs)
        preference = graph.sum(graph.node("Mul", weights, members), axis=0)
        neural = self._neural(weights, vectors, graph.linear(group, _array(model.member.weight)), factors)
        typical = graph.node("ReduceMean", logs, keepdims=1)
        scaled_amount = graph.node("Div", self._log1p(amount), graph.constant(LENGTH_SCALE))
        context = graph.node("Unsqueeze", graph.node("Concat", typical, scaled_amount, axis=0), self._zero)
        mixture = graph.linear(context, _array(model.mixture.weight), _array(model.mixture.bias))
        popularity = graph.node("Gather", graph.constant(_array(model.popularity)), candidate, axis=0)
        score = neural
        for place, part in enumerate((preference, of_group, popularity)):
            share = graph.node("Squeeze", graph.node("Gather", mixture, graph.constant([place]), axis=1), self._one)
            score = graph.node("Add", score, graph.node("Mul", share, part))
        penalty = graph.constant(model.familiarity_penalty.item())
        graph.node("Sub", score, graph.node("Mul", familiarity, penalty), to="score")
        self._compatibility(listeners, heard)

        graph.output("score", ["candidates"])
        graph.output("weights", ["members", "candidates"])
        graph.output("member_score", ["members", "candidates"])
        graph.output("compatibility", ["members", "members"])
        graph.output("group_compatibility", [1])

    def _unit(self, raw: str) -> tuple[str, str]:
        """Rows of `raw` (n, r) divided by their lengths, and these (n, 1)."""
        graph = self.graph
        squares = graph.sum(graph.node("Mul", raw, raw), axis=1, keep=True)
        lengths = graph.node("Max", graph.node("Sqrt", squares), graph.constant(SHORTEST))
        return graph.node("Div", raw, lengths), lengths

    def _log1p(self, value: str) -> str:
        return self.graph.node("Log", self.graph.node("Add", value, self.graph.constant(1.0)))

    def _influence(self, listeners: str, weighted: str, played: str, amount: str) -> str:
        """(members,): how well each member's taste went with the events, less the mean of all."""
        graph = self.graph
        total = graph.node("MatMul", weighted, graph.node("Gather", self._track_factors, played, axis=0))
        mean = graph.node("Div", total, graph.node("Max", amount, graph.constant(SHORTEST)))
        raw = graph.node("Squeeze", graph.node("MatMul", listeners, graph.node("Transpose", mean)), self._one)
        return graph.node("Sub", raw, graph.node("ReduceMean", raw, keepdims=1))

    def _taste(self) -> str:
        """(members, d): what the texts add."""
        graph, model = self.graph, self._model
        assert model.taste is not None
        taste = graph.input("taste", "float32", ["members", model.taste_size])
        has_taste = graph.input("has_taste", "float32", ["members"])
        projected = graph.linear(taste, _array(model.taste.weight))
        return graph.node("Mul", projected, graph.node("Unsqueeze", has_taste, self._one))

    def _attention(self, vectors: str, factors: str, members: str, influence: str, logs: str) -> str:
        """(members, candidates): the output `weights`."""
        graph, model = self.graph, self._model
        query = graph.linear(vectors, _array(model.query.weight) / model.query.in_features**0.5)
        key = graph.linear(factors, _array(model.key.weight))
        attention = graph.node("MatMul", query, graph.node("Transpose", key))
        tempered = graph.node("Mul", members, graph.constant(model.temperature.item()))
        strength = float(np.log1p(np.exp(model.raw_influence.item())))
        member = graph.node(
            "Add",
            graph.node("Mul", influence, graph.constant(strength)),
            graph.node("Mul", logs, graph.constant(model.length.item())),
        )
        attention = graph.node(
            "Add", graph.node("Add", attention, tempered), graph.node("Unsqueeze", member, self._one)
        )
        return graph.node("Softmax", attention, axis=0, to="weights")

    def _neural(self, weights: str, vectors: str, recent: str, factors: str) -> str:
        """(candidates,): what the group's vector makes of each candidate."""
        graph, model = self.graph, self._model
        pooled = graph.node("Add", graph.node("MatMul", graph.node("Transpose", weights), vectors), recent)
        product = graph.node("Mul", pooled, graph.linear(factors, _array(model.track.weight)))
        hidden = graph.node("Relu", graph.linear(product, _array(model.first.weight), _array(model.first.bias)))
        deep = graph.node("Squeeze", graph.linear(hidden, _array(model.second.weight)), self._one)
        return graph.node("Add", graph.sum(product, axis=1), deep)

    def _compatibility(self, listeners: str, heard: str) -> None:
        """The outputs `compatibility` and `group_compatibility`."""
        graph, model = self.graph, self._model
        low, typical = model.compatibility_range.tolist()
        cosines = graph.node("MatMul", listeners, graph.node("Transpose", listeners))
        stretched = graph.node(
            "Mul", graph.node("Sub", cosines, graph.constant(low)), graph.constant(1.0 / (1.0 - low))
        )
        clipped = graph.node("Clip", stretched, graph.constant(0.0), graph.constant(1.0))
        known = graph.node("Greater", heard, graph.constant(0.0))
        column, row = graph.node("Unsqueeze", known, self._one), graph.node("Unsqueeze", known, self._zero)
        pairs = graph.node("Where", graph.node("And", column, row), clipped, graph.constant(typical))
        count = graph.node("Squeeze", graph.node("Shape", heard), self._zero)
        places = graph.node("Range", graph.constant(0), count, graph.constant(1))
        places_column, places_row = (graph.node("Unsqueeze", places, axis) for axis in (self._one, self._zero))
        same = graph.node("Equal", places_column, places_row)
        matrix = graph.node("Where", same, graph.constant(1.0), pairs, to="compatibility")
        m = graph.sum(
            graph.sum(graph.node("Where", same, graph.constant(1.0), graph.constant(0.0)), axis=1), axis=0, keep=True
        )
        total = graph.sum(graph.sum(matrix, axis=1), axis=0, keep=True)
        others = graph.node("Mul", m, graph.node("Sub", m, graph.constant(1.0)))
        single = graph.node("Less", others, graph.constant(0.5))
        mean = graph.node("Div", graph.node("Sub", total, m), graph.node("Max", others, graph.constant(1.0)))
        graph.node("Where", single, graph.constant(1.0), mean, to="group_compatibility")


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array
