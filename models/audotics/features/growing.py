"""Columns that change: an array and rows go in, the array with these rows comes out, and little of it is copied.

Arrays that were handed out are never written to. One that was made here has room behind it: whoever adds rows first
writes them there, where no array before it looks, and shares all others. Who adds other rows to the same array gets a
copy.
"""

from __future__ import annotations

import threading
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_SPARE_SHARE = 16
_SPARE_ROWS = 1024
"""Room for a sixteenth more, and some. What is not written takes addresses and no memory."""


class _Room(np.ndarray[Any, np.dtype[Any]]):
    """Memory of a column. Up to `used` its rows are somebody's."""

    used: int
    lock: threading.Lock

    @classmethod
    def of(cls, array: NDArray[Any], size: int) -> Self:
        """Room for `size` rows and more, the first of which are those of `array`."""
        capacity = size + size // _SPARE_SHARE + _SPARE_ROWS
        room = np.empty((capacity, *array.shape[1:]), array.dtype).view(cls)
        room[: len(array)] = array
        room.used, room.lock = size, threading.Lock()
        return room

    def claim(self, start: int, end: int) -> bool:
        """Whether the rows from `start` to `end` are free; then they are the caller's."""
        with self.lock:
            if self.used != start or len(self) < end:
                return False
            self.used = end
            return True

    def first(self, size: int) -> NDArray[Any]:
        """The first rows as a plain array, by whose `base` the room is found again."""
        return self[:size].view(np.ndarray)


def with_room(array: NDArray[Any]) -> NDArray[Any]:
    """A copy of `array` (n, …) that can be added to at once."""
    return _Room.of(array, len(array)).first(len(array))


def with_rows(array: NDArray[Any], rows: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    """`array` (n, …) in which the distinct `rows` (m,) are `values` (m, …). New rows continue at n.

    It may share memory with `array`, so nobody may write to either. Safe to use from several threads.
    """
    n = len(array)
    size = max(n, int(rows.max(initial=-1)) + 1)
    if size == n and _are_alike(array[rows], values.astype(array.dtype, copy=False)):
        return array
    room = _room_of(array)
    if room is None or int(rows.min()) < n or not room.claim(n, size):
        room = _Room.of(array, size)
    result = room.first(size)
    result[rows] = values
    return result


def _room_of(array: NDArray[Any]) -> _Room | None:
    """The room that `array` was handed out of; None for one that was made elsewhere, or cut out of such a one."""
    base = array.base
    return base.base if isinstance(base, _Room) and isinstance(base.base, _Room) else None


def _are_alike(these: NDArray[Any], those: NDArray[Any]) -> bool:
    """Whether all is equal; unknown numbers are."""
    return np.array_equal(these, those, equal_nan=these.dtype.kind == "f")
