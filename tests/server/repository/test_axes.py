"""Which axes a model without names for them turns out to have: what is tried, and what is not believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.repository.axes import found_axes
from audotics.server.runtime.model import InferenceError, UnavailableModelError
from audotics.server.services.joining import row_plan

Feeds = Mapping[str, NDArray[Any]]
ROWS = {"x": np.asarray([[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]], np.float32)}
PAIRS = {"history": np.asarray([[0, 1], [2, 3]]), "user_index": np.asarray([0, 1, 1]), "track": np.asarray([4, 5, 6])}


@dataclass
class Nameless:
    """A model that computes `outputs`, and knows no names of axes."""

    feeds: Feeds
    compute: Mapping[str, Callable[[Feeds], NDArray[Any]]]
    platform: str = "test"
    waits: bool = False
    ends: bool = True
    asked: list[Feeds] = field(default_factory=list)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(name, array.dtype.name, self._shape(name, array)) for name, array in self.feeds.items())

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        found = {name: compute(self.feeds) for name, compute in self.compute.items()}
        return tuple(TensorSpec(name, array.dtype.name, self._shape(name, array)) for name, array in found.items())

    @property
    def axes(self) -> dict[str, tuple[int | str, ...]]:
        specs = (*self.inputs, *self.outputs)
        return {spec.name: tuple("" if size < 0 else size for size in spec.shape) for spec in specs}

    def run(self, feeds: Feeds, outputs: Sequence[str], *, deadline: float | None = None) -> list[NDArray[Any]]:
        self.asked.append(feeds)
        return [self.compute[name](feeds) for name in outputs]

    def _shape(self, name: str, array: NDArray[Any]) -> tuple[int, ...]:
        return () if not array.ndim else (-1, -1) if name == "history" else (-1, *array.shape[1:])


def test_rows_that_stand_for_themselves_get_an_axis() -> None:
    model = Nameless(ROWS, {"doubled": lambda feeds: feeds["x"] * 2, "total": lambda feeds: feeds["x"].sum(axis=1)})
    assert found_axes(model, ROWS) == {"x": ("rows", 2), "doubled": ("rows", 2), "total": ("rows",)}
    assert [len(feeds["x"]) for feeds in model.asked] == [1, 2, 3]


DEPENDENT: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "centred": lambda x: x - x.mean(axis=0),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(axis=0),
    "reversed": lambda x: x[::-1],
    "distinct": lambda x: np.unique(x, axis=0),
    "doubled": lambda x: np.concatenate([x, x]),
    "columns": lambda x: x.sum(axis=0),
    "products": lambda x: x @ x.T,
    "by number": lambda x: np.where(len(x) == 3, np.nan, x),
}


class Named(Nameless):
    """All first axes have one name."""

    @property
    def axes(self) -> dict[str, tuple[int | str, ...]]:
        return {name: ("batch", *axes[1:]) for name, axes in super().axes.items()}


@pytest.mark.parametrize("compute", DEPENDENT.values(), ids=DEPENDENT.keys())
def test_names_that_rows_contradict_are_not_believed(compute: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    model = Named(ROWS, {"y": lambda feeds: np.asarray(compute(feeds["x"]), np.float32)})
    axes = found_axes(model, ROWS)
    assert {name: first for name, (first, *_) in axes.items()} == {"x": "", "y": ""}
    assert axes["x"][1:] == model.axes["x"][1:]


def test_names_that_rows_bear_out_are_kept_also_with_arithmetic_of_eight_bits() -> None:
    def rounded(feeds: Feeds) -> NDArray[Any]:
        step = np.abs(feeds["x"]).max() / 127
        return np.asarray(np.round(feeds["x"] / step) * step, np.float32)

    model = Named(ROWS, {"doubled": lambda feeds: feeds["x"] * 2, "rounded": rounded})
    assert found_axes(model, ROWS) == model.axes


@pytest.mark.parametrize("compute", [*DEPENDENT.values(), np.sum], ids=[*DEPENDENT.keys(), "sum"])
def test_rows_that_depend_on_others_get_none(compute: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    model = Nameless(ROWS, {"y": lambda feeds: np.asarray(compute(feeds["x"]), np.float32)})
    assert found_axes(model, ROWS) == model.axes


def test_sums_in_another_order_are_the_same_and_other_sums_are_not() -> None:
    for apart, joins in ((3e-7, True), (3e-3, False)):
        model = Nameless(ROWS, {"y": lambda feeds, apart=apart: feeds["x"] * np.float32(1 + apart * len(feeds["x"]))})
        assert (found_axes(model, ROWS) != model.axes) is joins


def test_pairs_have_listeners_and_rows_and_outputs_stand_on_either() -> None:
    table = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)

    def vectors(feeds: Feeds) -> NDArray[Any]:
        return table[feeds["history"]].sum(axis=1)

    def logits(feeds: Feeds) -> NDArray[Any]:
        return (vectors(feeds)[feeds["user_index"]] * table[feeds["track"]]).sum(axis=1)

    model = Nameless(PAIRS, {"logit": logits, "user_vector": vectors})
    axes = found_axes(model, PAIRS)
    assert {name: sizes[0] for name, sizes in axes.items()} == {
        "history": "users",
        "user_index": "rows",
        "track": "rows",
        "logit": "rows",
        "user_vector": "users",
    }
    one_listener = {**PAIRS, "history": PAIRS["history"][:1], "user_index": np.zeros(3, np.int64)}
    assert found_axes(Nameless(one_listener, model.compute), one_listener) == axes


def test_inputs_of_different_lengths_and_rows_that_are_alike_show_nothing() -> None:
    other = {"x": ROWS["x"], "y": np.asarray([1.0, 2.0], np.float32)}
    model = Nameless(other, {"z": lambda feeds: feeds["x"][:, 0]})
    assert found_axes(model, other) == model.axes
    alike = {"x": np.ones((3, 2), np.float32)}
    model = Nameless(alike, {"y": lambda feeds: feeds["x"] - feeds["x"].mean(axis=0) + 1})
    assert found_axes(model, alike) == model.axes
    assert model.asked == []


def test_a_model_that_fails_keeps_its_axes_and_one_that_is_away_is_said() -> None:
    def failing(error: Exception) -> Nameless:
        def run(feeds: Feeds) -> NDArray[Any]:
            if len(feeds["x"]) == 1:
                raise error
            return feeds["x"]

        return Nameless(ROWS, {"y": run})

    model = failing(InferenceError("x/1: failed"))
    assert found_axes(model, ROWS) == model.axes
    with pytest.raises(UnavailableModelError):
        found_axes(failing(UnavailableModelError("x/1: away")), ROWS)


def test_axes_that_have_names_are_left_as_they_are(repository: Any) -> None:
    from audotics.server.runtime.onnx import OnnxModel

    model = OnnxModel(repository.store.open("ncf", 1).file("model.onnx"))
    with np.load(repository.store.open("ncf", 1).file("warmup.npz")) as recorded:
        assert found_axes(model, dict(recorded)) is model.axes
    assert row_plan(model) is not None
