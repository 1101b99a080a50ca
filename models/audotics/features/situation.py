"""Situations: a mood, an activity and a time go in, one mixture of the eight moods comes out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.moods import MOODS
from audotics.features.rules import ACTIVITY_MOODS, DAY_PART_WEIGHT, DAY_PARTS

ACTIVITIES: Final = tuple(ACTIVITY_MOODS)
DAY_PART_NAMES: Final = tuple(name for _, name, _ in DAY_PARTS)


def part_of_day(hour: int) -> str:
    """The name of the part of the day that the hour 0..23 is in."""
    return next(name for start, name, _ in reversed(DAY_PARTS) if hour >= start)


def mood_mixture(*, mood: str | None, activity: str | None, day_part: str | None) -> NDArray[np.float32] | None:
    """Weights float32 (8,) in the order of MOODS: the mood and the activity, each once, and a little of the hour.

    None when none of them is given.
    """
    if mood is None and activity is None and day_part is None:
        return None
    mixture = np.zeros(len(MOODS), np.float32)
    if mood is not None:
        mixture[MOODS.index(mood)] += 1.0
    if activity is not None:
        for name, share in ACTIVITY_MOODS[activity].items():
            mixture[MOODS.index(name)] += share
    if day_part is not None:
        shares = next(shares for _, name, shares in DAY_PARTS if name == day_part)
        for name, share in shares.items():
            mixture[MOODS.index(name)] += DAY_PART_WEIGHT * share
    return mixture
