"""Bias: a value and a property of each listener go in, the value's mean for the low, middle and high ones comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GROUPS = 4


@dataclass(frozen=True, slots=True)
class Group:
    """`count` listeners whose property lies in `low` to `high`, both included, and the mean of their values."""

    low: float
    high: float
    count: int
    value: float

    def to_json(self) -> dict[str, float]:
        return {"low": self.low, "high": self.high, "count": self.count, "value": self.value}


def by_property(values: NDArray[np.float64], properties: NDArray[np.number], *, groups: int = GROUPS) -> list[Group]:
    """Cut at the quantiles of `properties` (m,), lowest first; equal ones stay together, so there may be fewer groups.

    By user activity `properties` is the length of a history, by track popularity the plays of the held-out track.
    """
    edges = np.quantile(properties, np.arange(1, groups) / groups, method="inverted_cdf")
    places = np.searchsorted(np.unique(edges), properties, side="left")
    found = []
    for place in np.unique(places):
        members = places == place
        inside = properties[members]
        found.append(Group(float(inside.min()), float(inside.max()), int(members.sum()), float(values[members].mean())))
    return found
