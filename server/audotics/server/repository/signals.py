"""What the catalogue alone says about its tracks: columns go in, standardised signals and an order come out.

Signals know which columns they were made of. After a change that leaves those as they are, the same signals hold.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.hybrid import popularity_scores
from audotics.features.tracks import UNKNOWN_YEAR, TrackColumns

_FEW: Final = 500


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """One value a track, float32 (n,) about zero mean and unit spread where nothing else is said."""

    popularity: NDArray[np.float32]
    """By `popularity_scores`, 0..1."""
    freshness: NDArray[np.float32]
    """Release year, higher for newer; 0 where unknown."""
    exposure: NDArray[np.float32]
    """log(1 + plays) of all the artist's tracks; those without an artist count alone."""
    popular_order: NDArray[np.int32]
    """All rows, the most played first; among equals the one that is more popular elsewhere."""
    cold: NDArray[np.bool_]
    """Nobody has played the track."""
    _made_of: tuple[NDArray[Any], ...]

    @classmethod
    def measure(cls, columns: TrackColumns, artist_codes: NDArray[np.int32]) -> Signals:
        """`artist_codes` is int32 (n,), -1 where the artist is unknown."""
        return cls._with_order(columns, artist_codes, _popular_order(columns))

    def after(self, rows: NDArray[np.int64], columns: TrackColumns, artist_codes: NDArray[np.int32]) -> Signals:
        """As `measure`, where these are the signals of `columns` before `rows` (m,) changed or were added.

        Columns are never written to, so what is made of the very same ones are the same signals.
        """
        made_of = _read(columns, artist_codes)
        if all(now is before for now, before in zip(made_of, self._made_of, strict=True)):
            return self
        return self._with_order(columns, artist_codes, _order_after(self.popular_order, rows, columns))

    @classmethod
    def _with_order(
        cls, columns: TrackColumns, artist_codes: NDArray[np.int32], popular_order: NDArray[np.int32]
    ) -> Signals:
        plays = columns.plays
        of_artist = np.bincount(artist_codes + 1, weights=plays)  # those without an artist stand first
        exposure = np.where(artist_codes < 0, plays, of_artist.take(artist_codes + 1))
        return cls(
            popularity=popularity_scores(plays),
            freshness=_standardised(columns.release_years.astype(np.float64), columns.release_years != UNKNOWN_YEAR),
            exposure=_standardised(np.log1p(exposure), np.ones(len(plays), np.bool_)),
            popular_order=popular_order,
            cold=plays == 0,
            _made_of=_read(columns, artist_codes),
        )


def _read(columns: TrackColumns, artist_codes: NDArray[np.int32]) -> tuple[NDArray[Any], ...]:
    """Every column that signals are made of."""
    return columns.plays, columns.popularity, columns.release_years, artist_codes


def _popular_order(columns: TrackColumns) -> NDArray[np.int32]:
    return np.lexsort((-np.nan_to_num(columns.popularity, nan=-1.0), -columns.plays)).astype(np.int32)


def _order_after(order: NDArray[np.int32], rows: NDArray[np.int64], columns: TrackColumns) -> NDArray[np.int32]:
    """The popular order with a few `rows` in their new places: to sort a million tracks takes a sixth of a second."""
    if len(rows) > _FEW:
        return _popular_order(columns)

    def key(row: int) -> tuple[float, float, int]:
        popularity = float(columns.popularity[row])
        return -float(columns.plays[row]), 1.0 if math.isnan(popularity) else -popularity, int(row)

    moved = np.zeros(len(columns), np.bool_)
    moved[rows] = True
    kept = order[~moved[order]]
    inserted = sorted(rows.tolist(), key=key)
    places = [bisect_left(kept, key(row), key=key) for row in inserted]
    return np.insert(kept, places, np.asarray(inserted, np.int32))


def _standardised(values: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    result = np.zeros(len(values), np.float32)
    chosen = values if known.all() else values[known]  # to choose takes longer than the rest
    if not len(chosen):
        return result
    scaled = (chosen - chosen.mean()) / (chosen.std() or 1.0)
    if len(chosen) < len(values):
        result[known] = scaled
    else:
        result[:] = scaled
    return result
