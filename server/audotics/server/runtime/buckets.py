"""Few shapes in place of many: feeds go in with any number of rows, and come out with one of a few numbers of rows.

What is added repeats the last row, and its results are cut off again. That is right where rows are independent, which
is what one name for the first axis of all outputs says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec

_FEWEST: Final = 8
_STEPS: Final = 4
"""Sizes between a power of two and the next, so that at most a fifth is added."""


def bucket(rows: int) -> int:
    """The number of rows that `rows` are rounded up to: 8, 16, 20, 24, 28, 32, 40, …"""
    if rows <= _FEWEST:
        return _FEWEST
    step = max(_STEPS, (1 << ((rows - 1).bit_length() - 1)) // _STEPS)
    return -(-rows // step) * step


@dataclass(frozen=True, slots=True)
class RowBuckets:
    """Rounds up the rows of one model. All outputs have them on their first axis, and so have `inputs`."""

    inputs: tuple[str, ...]

    @classmethod
    def of(
        cls,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        axes: Mapping[str, tuple[int | str, ...]],
    ) -> Self | None:
        """None for a model without an axis that is the first one of all outputs and of an input."""
        first = {name: sizes[0] if sizes else "" for name, sizes in axes.items()}
        leading = {first[spec.name] for spec in outputs}
        if len(leading) != 1 or not isinstance(axis := leading.pop(), str) or not axis:
            return None
        names = tuple(spec.name for spec in inputs if first[spec.name] == axis)
        elsewhere = any(axis in axes[spec.name][1:] for spec in (*inputs, *outputs))
        return None if elsewhere or not names else cls(names)

    def pad(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """The feeds with rounded-up rows; no rows stay none."""
        rows = len(feeds[self.inputs[0]])
        missing = bucket(rows) - rows
        if not rows or not missing:
            return feeds
        return {
            name: np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if name in self.inputs else array
            for name, array in feeds.items()
        }

    def trim(self, feeds: Mapping[str, NDArray[Any]], arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Of a model's outputs, what belongs to the rows of `feeds`."""
        rows = len(feeds[self.inputs[0]])
        return [array[:rows] for array in arrays]
