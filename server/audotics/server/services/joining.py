"""Rows of several requests in one run of a model: named arrays of each go in, joined ones and the way back come out.

A model can be run this way when the first axis of all that goes in and comes out is one axis of independent rows. NCF
has two, listeners and pairs, and the pairs name their listener by number: these numbers are moved along. Histories
may differ in length: they are filled up with PADDING, which every model of histories skips.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.history import PADDING
from audotics.server.runtime.model import Model
from audotics.server.services.tensors import TensorError

Feeds = Mapping[str, NDArray[Any]]

_HISTORY: Final = "history"
_USER_INDEX: Final = "user_index"

_WEIGHT_WIDTH: Final = 64
"""A row counts as another one for each so many places that it has beyond these."""

_MOST_HISTORY_PLACES: Final = 2**18
"""Places of the histories that every piece of a request needs: 1,024 listeners with 256 tracks each."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    """How the rows of one model are joined. `rows` is the axis that counts, `axis_of` the first one of each tensor."""

    rows: str
    axis_of: Mapping[str, str]
    leaders: Mapping[str, str]
    """For each axis, an input that has it first."""
    inputs: tuple[str, ...]
    counted: bool
    """Whether pairs name their listener by number."""

    @property
    def limited(self) -> tuple[str, ...]:
        """Inputs whose values `check_limits` looks at."""
        return (_USER_INDEX,) if self.counted else ()

    def size(self, feeds: Feeds, axis: str) -> int:
        return len(feeds[self.leaders[axis]])

    def check_limits(self, feeds: Feeds) -> None:
        """Raises TensorError for histories too large for one run, and for a pair whose listener is not there."""
        if not self.counted:
            return
        history, index = feeds[_HISTORY], feeds[_USER_INDEX]
        if history.size > _MOST_HISTORY_PLACES:
            raise TensorError(
                f"input '{_HISTORY}' has {history.size} places; send up to {_MOST_HISTORY_PLACES} in one request",
                field=f"inputs[{_HISTORY}].shape",
            )
        # A number beyond would name the listener of another request. Without a sign, numbers below 0 are the largest.
        if index.size and np.maximum.reduce(index.view(np.uint64)) >= len(history):
            raise TensorError(
                f"input '{_USER_INDEX}' has a value outside 0..{len(history) - 1}, the rows of '{_HISTORY}'",
                field=f"inputs[{_USER_INDEX}]",
            )

    def weight(self, feeds: Feeds) -> int:
        """What a run on `feeds` costs, in rows."""
        return max(1, self.size(feeds, self.rows) * self._row_weight(feeds))

    def shapes(self, feeds: Feeds) -> Hashable:
        """Requests can be joined when this is equal: sizes of their rows, those of histories about."""
        return tuple(
            (feeds[name].shape[1] - 1).bit_length() if name == _HISTORY else feeds[name].shape[1:]
            for name in self.inputs
            if feeds[name].ndim > 1
        )

    def cut(self, feeds: Feeds, weight: int, *, outputs: Sequence[str]) -> list[Feeds]:
        """Pieces of up to `weight`, in order; one piece when an output stands on another axis."""
        if any(self.axis_of[name] != self.rows for name in outputs):
            return [feeds]
        step, total = max(1, weight // self._row_weight(feeds)), self.size(feeds, self.rows)
        return [
            {
                name: array[start : start + step] if self.axis_of[name] == self.rows else array
                for name, array in feeds.items()
            }
            for start in range(0, total, step)
        ]

    def join(self, requests: Sequence[Feeds]) -> Feeds:
        """Feeds of one run, the rows of the requests in order. The requests have the same `shapes`."""
        joined = {
            name: _stack_histories([feeds[name] for feeds in requests])
            if name == _HISTORY
            else np.concatenate([feeds[name] for feeds in requests])
            for name in self.inputs
        }
        if self.counted:
            listeners = np.asarray([len(feeds[_HISTORY]) for feeds in requests])
            pairs = [len(feeds[_USER_INDEX]) for feeds in requests]
            joined[_USER_INDEX] += np.repeat(np.cumsum(listeners) - listeners, pairs)
        return joined

    def part(self, requests: Sequence[Feeds], outputs: Sequence[str], arrays: Feeds) -> list[list[NDArray[Any]]]:
        """Undo `join`: the outputs of each request, in the order of `outputs`, from the `arrays` of the one run."""
        ends = {
            axis: np.cumsum([self.size(feeds, axis) for feeds in requests]).tolist()
            for axis in {self.axis_of[name] for name in outputs}
        }
        parts: list[list[NDArray[Any]]] = [[] for _ in requests]
        for name in outputs:
            start = 0
            for own, end in zip(parts, ends[self.axis_of[name]], strict=True):
                own.append(arrays[name][start:end])
                start = end
        return parts

    def _row_weight(self, feeds: Feeds) -> int:
        history = None if self.counted else feeds.get(_HISTORY)
        return 1 if history is None else 1 + (max(1, history.shape[1]) - 1) // _WEIGHT_WIDTH


def row_plan(model: Model) -> RowPlan | None:
    """The plan of a model, None for one whose axes say that its rows belong together."""
    inputs = tuple(spec.name for spec in model.inputs)
    first = {name: axes[0] if axes else "" for name, axes in model.axes.items()}
    axis_of = {name: axis for name, axis in first.items() if isinstance(axis, str) and axis}
    leaders = {axis_of[name]: name for name in reversed(inputs) if name in axis_of}
    shapes = {spec.name: spec.shape for spec in (*model.inputs, *model.outputs)}
    ragged = [name for name, shape in shapes.items() if -1 in shape[1:] and name != _HISTORY]
    if len(axis_of) < len(model.axes) or ragged or not {axis_of[name] for name in axis_of} <= leaders.keys():
        return None
    if len(leaders) == 1:
        return RowPlan(next(iter(leaders)), axis_of, leaders, inputs, counted=False)
    counted = {name: len(shapes[name]) for name in inputs} == {_HISTORY: 2, _USER_INDEX: 1, "track": 1}
    if not counted or axis_of[_USER_INDEX] != axis_of["track"] or any(spec.dtype != "int64" for spec in model.inputs):
        return None
    return RowPlan(axis_of[_USER_INDEX], axis_of, leaders, inputs, counted=True)


def _stack_histories(histories: Sequence[NDArray[Any]]) -> NDArray[Any]:
    width = max(history.shape[1] for history in histories)
    if all(history.shape[1] == width for history in histories):
        return np.concatenate(histories)
    stacked = np.full((sum(len(history) for history in histories), width), PADDING, histories[0].dtype)
    start = 0
    for history in histories:
        stacked[start : start + len(history), : history.shape[1]] = history
        start += len(history)
    return stacked
