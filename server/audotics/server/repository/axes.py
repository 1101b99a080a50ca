"""Axes of rows: a loaded model and its recorded inputs go in; the axes that its rows stand on come out.

TensorFlow and other servers only say that the size of an axis is free, which does not tell whether all tensors have the
same rows, and whether each row stands for itself. So it is tried: two requests apart and both together have to give the
same. ONNX names its axes, but one name does not say either that a row stands for itself: a softmax may go over rows.
Names are believed unless the same trial plainly contradicts them. What was found lets rows of several requests run in
one call (`services/joining.py`), and rows be added on a GPU (`runtime/buckets.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.runtime.model import InferenceError, Model, UnavailableModelError, UnfinishedRunError

Feeds = Mapping[str, NDArray[Any]]
Axes = Mapping[str, tuple[int | str, ...]]

_LOG: Final = logging.getLogger(__name__)
_HISTORY: Final = "history"
_USER_INDEX: Final = "user_index"
_PAIRS: Final = {_HISTORY: 2, _USER_INDEX: 1, "track": 1}
"""Inputs of models of pairs, with their dimensions: listeners, and tracks that name their listener by number."""

_TOLERANCE: Final = 1e-4
_TOLERANCE_OF_HALVES: Final = 1e-2
_TOLERANCE_OF_NAMES: Final = 5e-2
"""Of the largest value: sums are made in another order when there are other rows beside."""


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """Two requests, both in one, and the axis of each input."""

    first: Feeds
    second: Feeds
    together: Feeds
    axis_of: Mapping[str, str]

    def sizes(self) -> dict[tuple[int, int, int], str]:
        """The sizes of each axis in the three requests, by which its outputs are known."""
        return {
            (len(self.first[name]), len(self.second[name]), len(self.together[name])): axis
            for name, axis in self.axis_of.items()
        }


def found_axes(model: Model, recorded: Feeds) -> Axes:
    """The axes of `model`, with names for the first ones where it has none and its rows prove to be independent.

    Where all of them have one name and the rows prove to depend on each other, they lose it. The model is run three
    times for that. Raises UnavailableModelError when it lies on a server that does not answer, UnfinishedRunError when
    a run had to be ended.
    """
    named = _has_one_name(model)
    trial = _trial(model, recorded) if named or _is_nameless(model) else None
    if trial is None:
        return model.axes
    names = [spec.name for spec in model.outputs]
    try:
        runs = [model.run(feeds, names) for feeds in (trial.first, trial.second, trial.together)]
    except (UnavailableModelError, UnfinishedRunError):
        raise
    except InferenceError as error:
        _LOG.info("requests of this model run one by one: %s", error)
        return model.axes
    if named:
        if not any(_plainly_differ(first, second, both) for first, second, both in zip(*runs, strict=True)):
            return model.axes
        _LOG.warning("rows of a model depend on each other, although its axes have one name: requests run one by one")
        return {name: ("", *axes[1:]) for name, axes in model.axes.items()}
    axis_of, axes = dict(trial.axis_of), trial.sizes()
    for name, first, second, together in zip(names, *runs, strict=True):
        widths = {array.shape[1:] for array in (first, second, together)}
        if () in {first.shape, second.shape, together.shape} or len(widths) > 1:
            return model.axes
        axis = axes.get((len(first), len(second), len(together)))
        if axis is None or not _same(np.concatenate([first, second]), together):
            return model.axes
        axis_of[name] = axis
    return {name: (axis_of[name], *axes[1:]) for name, axes in model.axes.items()}


def _has_one_name(model: Model) -> bool:
    """Whether the first axes of all tensors have one name."""
    first = {axes[0] if axes else "" for axes in model.axes.values()}
    return len(first) == 1 and isinstance(first.pop() or 0, str)


def _plainly_differ(first: NDArray[Any], second: NDArray[Any], together: NDArray[Any]) -> bool:
    """By far more than 8-bit arithmetic does, whose scale is that of all rows."""
    if first.shape[1:] != second.shape[1:]:
        return True
    return not _same(np.concatenate([first, second]), together, tolerance=_TOLERANCE_OF_NAMES)


def _is_nameless(model: Model) -> bool:
    """Whether the first axis of every tensor is free and has no name, and all others are fixed but a history's."""
    shapes = {spec.name: spec.shape for spec in (*model.inputs, *model.outputs)}
    return all(
        shape and shape[0] == -1 and model.axes[name][0] == "" and (name == _HISTORY or -1 not in shape[1:])
        for name, shape in shapes.items()
    )


def _trial(model: Model, recorded: Feeds) -> _Trial | None:
    """None when the recorded inputs cannot show anything."""
    if recorded.keys() != {spec.name for spec in model.inputs} or not all(len(array) for array in recorded.values()):
        return None
    if {spec.name: len(spec.shape) for spec in model.inputs} == _PAIRS:
        return _pairs(recorded)
    rows = {len(array) for array in recorded.values()}
    if len(rows) > 1 or all(np.array_equal(array[0], array[-1]) for array in recorded.values()):
        return None
    first = {name: array[:1] for name, array in recorded.items()}
    second = {name: array[[-1, 0]] for name, array in recorded.items()}
    together = {name: np.concatenate([first[name], second[name]]) for name in recorded}
    return _Trial(first, second, together, dict.fromkeys(recorded, "rows"))


def _pairs(recorded: Feeds) -> _Trial:
    """A listener with two tracks, and two listeners with three: each axis has sizes of its own."""
    history, track, index = recorded[_HISTORY], recorded["track"], recorded[_USER_INDEX]
    two, three = np.resize(track, 2), np.resize(track[::-1], 3)
    first = {_HISTORY: history[:1], _USER_INDEX: np.asarray([0, 0], index.dtype), "track": two}
    second = {_HISTORY: history[[-1, 0]], _USER_INDEX: np.asarray([0, 1, 0], index.dtype), "track": three}
    together = {
        _HISTORY: np.concatenate([first[_HISTORY], second[_HISTORY]]),
        _USER_INDEX: np.concatenate([first[_USER_INDEX], second[_USER_INDEX] + 1]),
        "track": np.concatenate([two, three]),
    }
    return _Trial(first, second, together, {_HISTORY: "users", _USER_INDEX: "rows", "track": "rows"})


def _same(expected: NDArray[Any], found: NDArray[Any], *, tolerance: float = _TOLERANCE) -> bool:
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(expected, found))
    tolerance = max(tolerance, _TOLERANCE_OF_HALVES if expected.dtype == np.float16 else 0.0)
    apart = np.abs(expected.astype(np.float64) - found)
    return bool(np.all(apart <= tolerance * max(1.0, float(np.abs(expected).max(initial=0.0)))))
