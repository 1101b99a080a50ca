"""Which models' rows may run together, and that joining and taking apart are each other's inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.services.joining import RowPlan, row_plan
from audotics.server.services.tensors import TensorError

Axes = dict[str, tuple[int | str, ...]]


@dataclass
class Described:
    """As much of a loaded model as a plan is made from."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    axes: Axes


def plan(inputs: Axes, outputs: Axes) -> RowPlan | None:
    def specs(axes: Axes) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(name, "int64", tuple(size if isinstance(size, int) else -1 for size in sizes))
            for name, sizes in axes.items()
        )

    return row_plan(Described(specs(inputs), specs(outputs), inputs | outputs))  # type: ignore[arg-type]


NCF: tuple[Axes, Axes] = (
    {"history": ("users", "length"), "user_index": ("rows",), "track": ("rows",)},
    {"logit": ("rows",), "user_vector": ("users", 4)},
)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"member_history": ("members", "length"), "candidate": ("candidates",)}, {"score": ("candidates",)}),
        ({"x": ("rows", 3)}, {"total": (1,)}),
        ({"x": ("rows", 3), "scale": ()}, {"y": ("rows",)}),
        ({"x": ("", 3)}, {"y": ("",)}),
        ({"tokens": ("batch", "length")}, {"y": ("batch",)}),
        ({"x": ("rows",), "y": ("others",)}, {"z": ("rows",)}),
        ({"x": ("rows",)}, {"all": ("pairs",)}),
    ],
)
def test_rows_that_belong_together_have_no_plan(inputs: Axes, outputs: Axes) -> None:
    assert plan(inputs, outputs) is None


def test_joined_pairs_keep_their_listeners() -> None:
    found = plan(*NCF)
    assert found is not None
    first: dict[str, NDArray[Any]] = {
        "history": np.asarray([[1, 2, 3], [4, 5, 6]]),
        "user_index": np.asarray([1, 0, 1]),
        "track": np.asarray([7, 8, 9]),
    }
    second = {"history": np.asarray([[10, 11, 12, 13]]), "user_index": np.asarray([0]), "track": np.asarray([14])}
    assert found.shapes(first) == found.shapes(second)
    joined = found.join([first, second])
    assert joined["history"].tolist() == [[1, 2, 3, -1], [4, 5, 6, -1], [10, 11, 12, 13]]
    assert joined["user_index"].tolist() == [1, 0, 1, 2]
    assert first["user_index"].tolist() == [1, 0, 1]
    outputs = {"logit": np.arange(4.0), "user_vector": np.arange(12.0).reshape(3, 4)}
    (logit, vectors), (other, vector) = found.part([first, second], ["logit", "user_vector"], outputs)
    assert (logit.tolist(), other.tolist()) == ([0, 1, 2], [3])
    assert (len(vectors), len(vector)) == (2, 1)


def test_pieces_share_the_listeners_and_none_is_cut_for_them() -> None:
    found = plan(*NCF)
    assert found is not None
    feeds = {"history": np.zeros((2, 3), np.int64), "user_index": np.zeros(5, np.int64), "track": np.arange(5)}
    pieces = found.cut(feeds, 2, outputs=["logit"])
    assert [piece["track"].tolist() for piece in pieces] == [[0, 1], [2, 3], [4]]
    assert all(len(piece["history"]) == 2 for piece in pieces)
    assert found.cut(feeds, 2, outputs=["logit", "user_vector"]) == [feeds]


@pytest.mark.parametrize("index", [[0, 2], [-1, 0]])
def test_a_pair_names_a_listener_of_its_own_request(index: list[int]) -> None:
    found = plan(*NCF)
    assert found is not None
    feeds = {"history": np.zeros((2, 3), np.int64), "user_index": np.asarray(index), "track": np.arange(2)}
    with pytest.raises(TensorError, match=r"outside 0\.\.1"):
        found.check_limits(feeds)


def test_long_histories_weigh_more() -> None:
    found = plan({"history": ("batch", "length")}, {"scores": ("batch", 9)})
    assert found is not None
    assert found.weight({"history": np.zeros((10, 64), np.int64)}) == 10
    long = {"history": np.zeros((10, 256), np.int64)}
    assert found.weight(long) == 40
    assert [len(piece["history"]) for piece in found.cut(long, 16, outputs=["scores"])] == [4, 4, 2]
    assert [len(piece["history"]) for piece in found.cut(long, 3, outputs=["scores"])] == [1] * 10  # never fewer


def test_no_rows_and_no_history_weigh_something() -> None:
    found = plan({"history": ("batch", "length")}, {"scores": ("batch", 9)})
    assert found is not None
    assert found.weight({"history": np.zeros((0, 64), np.int64)}) == 1
    assert found.weight({"history": np.zeros((3, 0), np.int64)}) == 3
    assert found.weight({"history": np.zeros((3, 65), np.int64)}) == 6


def test_a_listener_of_pairs_weighs_nothing_however_long_the_history() -> None:
    found = plan(*NCF)
    assert found is not None
    feeds = {"history": np.zeros((2, 640), np.int64), "user_index": np.zeros(5, np.int64), "track": np.arange(5)}
    assert found.weight(feeds) == 5


def test_histories_of_about_one_length_are_joined_and_rows_of_other_widths_are_not() -> None:
    histories, rows = plan({"history": ("batch", "length")}, {"y": ("batch",)}), plan({"x": ("a", 3)}, {"y": ("a",)})
    assert histories is not None
    assert rows is not None

    def length(places: int) -> object:
        return histories.shapes({"history": np.zeros((1, places), np.int64)})

    assert length(33) == length(64)
    assert length(32) != length(33)
    assert length(64) != length(65)
    assert rows.shapes({"x": np.zeros((1, 3))}) == rows.shapes({"x": np.zeros((5, 3))})
    assert rows.shapes({"x": np.zeros((1, 3))}) != rows.shapes({"x": np.zeros((1, 4))})


def test_histories_are_bounded_by_their_places() -> None:
    found = plan(*NCF)
    assert found is not None
    pair = {"user_index": np.zeros(1, np.int64), "track": np.zeros(1, np.int64)}
    found.check_limits({"history": np.zeros((2**10, 2**8), np.int64), **pair})
    with pytest.raises(TensorError, match="has 262400 places; send up to 262144 in one request") as refused:
        found.check_limits({"history": np.zeros((2**10 + 1, 2**8), np.int64), **pair})
    assert refused.value.field == "inputs[history].shape"


def test_pairs_of_other_axes_or_types_have_no_plan() -> None:
    inputs, outputs = NCF
    assert plan({**inputs, "track": ("others",)}, outputs) is None
    assert plan({**inputs, "track": ("users",)}, outputs) is None
    described = Described(
        (
            TensorSpec("history", "int64", (-1, -1)),
            TensorSpec("user_index", "int32", (-1,)),
            TensorSpec("track", "int64", (-1,)),
        ),
        (TensorSpec("logit", "float32", (-1,)),),
        inputs | {"logit": ("rows",)},
    )
    assert row_plan(described) is None  # type: ignore[arg-type]
