"""Profiles on a catalogue: rows of a history go in, a profile comes out, and how it compares with other listeners'."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.profile import FACETS, TasteProfile, diversity, likeness
from audotics.server.pipeline.lru import LruCache
from audotics.server.repository.catalog import Catalog

_LISTENERS: Final = 120
"""Listeners of the training histories who stand for all; their pairs are some 7,000."""
_FEWEST: Final = 10


def profile_of(catalog: Catalog, rows: NDArray[np.int64]) -> TasteProfile:
    """The profile of a history, by catalogue rows."""
    return TasteProfile.of(
        genres=catalog.genres[rows],
        moods=catalog.moods[rows],
        artists=catalog.artist_codes[rows],
        audio=catalog.standard_audio(rows),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """How alike and how varied listeners of a catalogue are: sorted values, one array a facet; empty if too few."""

    likeness: tuple[NDArray[np.float64], ...]
    genre_diversity: NDArray[np.float64]
    mood_diversity: NDArray[np.float64]

    @classmethod
    def measure(cls, catalog: Catalog) -> Strangers:
        """Of listeners evenly spread over the training histories."""
        names = catalog.listeners(10**9)
        chosen = [
            names[place] for place in np.unique(np.linspace(0, len(names) - 1, min(_LISTENERS, len(names))).astype(int))
        ]
        histories = (catalog.history_rows(name) for name in chosen)
        profiles = [profile_of(catalog, rows) for rows in histories if rows is not None and len(rows)]
        nothing = np.empty(0)
        if len(profiles) < _FEWEST:
            return cls((nothing,) * len(FACETS), nothing, nothing)
        pairs = np.stack([likeness(*pair) for pair in combinations(profiles, 2)])
        return cls(
            tuple(np.sort(column[~np.isnan(column)]) for column in pairs.T),
            _sorted([diversity(profile.genres) for profile in profiles]),
            _sorted([diversity(profile.moods) for profile in profiles]),
        )

    def exceeded(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """By facet (…, 4), the share of pairs of strangers who are less alike, ties counting half.

        Where there are too few listeners to tell, the likeness itself.
        """
        result = values.copy()
        for facet, others in enumerate(self.likeness):
            if len(others):
                result[..., facet] = share_below(others, values[..., facet])
        return result


class StrangersCache:
    """Measures each catalogue once."""

    def __init__(self) -> None:
        self._measured: LruCache[int, Strangers] = LruCache(2)

    def of(self, catalog: Catalog) -> Strangers:
        """Blocking for a moment, the first time."""
        return self._measured.get(catalog.generation, lambda: Strangers.measure(catalog))


def share_below(ordered: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of `ordered` (n,) below each value, ties counting half; NaN stays."""
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.where(np.isnan(values), np.nan, below / (2 * max(len(ordered), 1)))


def _sorted(values: list[float | None]) -> NDArray[np.float64]:
    return np.sort(np.asarray([value for value in values if value is not None], np.float64))
