"""Columns that grow share memory, and nobody ever sees what others did to theirs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.features.growing import with_room, with_rows

STEPS = st.lists(
    st.tuples(
        st.integers(0, 100),  # which of the arrays so far
        st.lists(st.integers(0, 12), max_size=4, unique=True),  # rows of it to change
        st.integers(0, 3),  # rows to add
    ),
    max_size=30,
)


def shares(one: np.ndarray, other: np.ndarray) -> bool:
    return np.shares_memory(one, other)


@given(STEPS, st.sampled_from([np.float32, np.int64, object, np.bool_]), st.sampled_from([(), (2,)]))
@settings(max_examples=200, deadline=None)
def test_every_array_stays_what_it_was(
    steps: list[tuple[int, list[int], int]], dtype: type, width: tuple[int, ...]
) -> None:
    """A tree of arrays, each made from any of those before, beside plain copies."""
    start = np.zeros((3, *width), dtype)
    arrays, copies = [start, with_room(start)], [start.copy(), start.copy()]
    for number, (which, changed, added) in enumerate(steps):
        array, expected = arrays[which % len(arrays)], copies[which % len(arrays)]
        n = len(array)
        rows = np.asarray([*(row for row in changed if row < n), *range(n, n + added)], np.int64)
        values = np.full((len(rows), *width), number + 1).astype(dtype)
        arrays.append(with_rows(array, rows, values))
        copies.append(np.concatenate([expected, np.zeros((added, *width), dtype)]))
        copies[-1][rows] = values
        for found, copy in zip(arrays, copies, strict=True):
            assert type(found) is np.ndarray
            np.testing.assert_array_equal(found, copy)


def test_the_first_who_adds_copies_nothing_and_the_second_everything() -> None:
    parent = with_room(np.arange(5))
    first = with_rows(parent, np.asarray([5]), np.asarray([50]))
    second = with_rows(parent, np.asarray([5]), np.asarray([51]))
    grandchild = with_rows(first, np.asarray([6, 7]), np.asarray([60, 70]))
    assert shares(first, parent)
    assert not shares(second, parent)
    assert shares(grandchild, parent)
    assert (first.tolist(), second.tolist()) == ([*range(5), 50], [*range(5), 51])
    assert grandchild.tolist() == [*range(5), 50, 60, 70]


def test_a_piece_of_an_array_has_no_room() -> None:
    array = with_room(np.arange(5))
    for piece in (array[:3], array[2:], array[::2]):
        added = with_rows(piece, np.asarray([len(piece)]), np.asarray([9]))
        assert not shares(added, array)
        assert added.tolist() == [*piece.tolist(), 9]
    assert array.tolist() == [0, 1, 2, 3, 4]


def test_room_that_is_full_is_left() -> None:
    array = with_room(np.zeros(1, np.int64))
    many = np.arange(1, 5000)
    assert with_rows(array, many, many).tolist() == list(range(5000))


def test_what_changes_nothing_is_the_array_itself() -> None:
    array = np.asarray([1.0, np.nan, 3.0], np.float32)
    assert with_rows(array, np.asarray([1, 2]), np.asarray([np.nan, 3.0])) is array
    assert with_rows(array, np.zeros(0, np.int64), np.zeros(0)) is array
    tenth = np.asarray([0.1], np.float32)
    assert with_rows(tenth, np.asarray([0]), np.asarray([0.1], np.float64)) is tenth  # as far as it can be held


@pytest.mark.parametrize("attempt", range(20))
def test_of_threads_that_add_at_once_one_shares(attempt: int) -> None:
    parent, together = with_room(np.arange(10)), threading.Barrier(8)

    def add(number: int) -> np.ndarray:
        together.wait()
        return with_rows(parent, np.asarray([10]), np.asarray([number]))

    with ThreadPoolExecutor(8) as threads:
        arrays = list(threads.map(add, range(8)))
    assert [array[10] for array in arrays] == list(range(8))
    assert sum(shares(array, parent) for array in arrays) == 1
