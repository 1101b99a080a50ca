"""The listeners of a layer, shared out: what is taken and a share go in, a part that nobody else has comes out.

A layer has 10,000 slots, and each listener falls into one of them (`assignment.slot_of`). An experiment holds ranges of
slots, so that experiments of one layer never have a listener in common, and one that grows keeps those it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

SLOTS: Final = 10_000

Slots: TypeAlias = tuple[tuple[int, int], ...]
"""Ranges from the first slot up to the one after the last, in order."""


def count(slots: Slots) -> int:
    """How many slots there are in the ranges."""
    return sum(end - start for start, end in slots)


def count_of_share(share: float) -> int:
    """The number of slots that is nearest to a share of the layer."""
    return round(share * SLOTS)


def free(taken: Iterable[Slots]) -> Slots:
    """The slots that none of `taken` has."""
    held = sorted(span for slots in taken for span in slots)
    gaps, start = [], 0
    for first, end in held:
        if first > start:
            gaps.append((start, first))
        start = max(start, end)
    return tuple(gaps) if start >= SLOTS else (*gaps, (start, SLOTS))


def resized(slots: Slots, size: int, *, taken: Iterable[Slots]) -> Slots | None:
    """`size` slots: all of `slots` and free ones, or a part of them; None when `taken` by others leaves too few."""
    if size <= count(slots):
        return _first(slots, size)
    others = tuple(taken)
    found = _first(free((*others, slots)), size - count(slots))
    return None if count(found) + count(slots) < size else _joined((*slots, *found))


def _first(slots: Slots, size: int) -> Slots:
    chosen = []
    for start, end in slots:
        length = min(end - start, size)
        if length:
            chosen.append((start, start + length))
        size -= length
    return tuple(chosen)


def _joined(slots: Slots) -> Slots:
    """The same slots in order, ranges that touch made one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(slots):
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
