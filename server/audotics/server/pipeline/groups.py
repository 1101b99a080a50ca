"""Strategies of groups: what tracks are worth to members goes in, what they are worth to the group comes out.

Worth is float64 (m, n), of n tracks to m members, 0..1; weights are float64 (m,), sum up to 1, and may be 0 for some.
The weighted least misery and most pleasure are Yager's (1978, "Fuzzy decision making including unequal objectives"): a
weight is an exponent, or a factor. Satisfaction and harmony are those of `audotics.evaluation.groups`: Stratigi et al.
2020 (eq. 1), and one less the average pair-wise disagreement of Amer-Yahia et al. 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TIE: Final = 1e-4
"""How much of the weighted mean decides between tracks that a strategy holds equal."""
_BEST_OF_WORST_OFF: Final = 20
"""Tracks of the worst-off member that are tried in every place of the list in one step."""
_GAIN: Final = 1e-9


def worths(scores: NDArray[np.floating]) -> Floats:
    """Each member's scores (m, n) scaled to 0..1; all 1 for a member to whom the tracks are the same."""
    if not scores.size:
        return np.empty(scores.shape)
    low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    spread = (high - low).astype(np.float64)
    return np.where(spread > 0, (scores - low) / np.where(spread > 0, spread, 1.0), 1.0)


def shares(weights: Floats) -> Floats:
    """Weights (m,), not all 0, scaled to sum up to 1."""
    scaled = weights / weights.max()
    total: Floats = scaled / scaled.sum()
    return total


def average(worth: Floats, weights: Floats) -> Floats:
    """The weighted mean of the members, (n,)."""
    mean: Floats = weights @ worth
    return mean


def least_misery(worth: Floats, weights: Floats) -> Floats:
    """min over members of worth^(weight / largest weight), (n,); who has no weight has no say."""
    powers = (weights / weights.max())[:, None]
    worst: Floats = np.power(worth, powers).min(axis=0)
    return worst + _TIE * average(worth, weights)


def most_pleasure(worth: Floats, weights: Floats) -> Floats:
    """max over members of worth * weight / largest weight, (n,)."""
    best: Floats = (worth * (weights / weights.max())[:, None]).max(axis=0)
    return best + _TIE * average(worth, weights)


def satisfaction(worth: Floats, places: NDArray[np.int64]) -> Floats:
    """float64 (m,): what the list `places` (k,) is worth, divided by what the best of that length is.

    1 for a member to whom nothing is worth anything: no list could have done better.
    """
    best = best_worth(worth, len(places))
    shares: Floats = np.where(best > 0, worth[:, places].sum(axis=1) / np.where(best > 0, best, 1.0), 1.0)
    return shares


def best_worth(worth: Floats, k: int) -> Floats:
    """float64 (m,): what the best k tracks are worth to each member."""
    n = worth.shape[1]
    best = worth if k >= n else np.partition(worth, n - k, axis=1)[:, n - k :]
    total: Floats = best.sum(axis=1)
    return total


def harmony(satisfactions: Floats) -> float:
    """1 less the mean absolute difference over pairs of the m members; 1 for one member."""
    m = len(satisfactions)
    if m < 2:
        return 1.0
    ordered = np.sort(satisfactions)
    # The sum over pairs, by how often each is the larger or the smaller one.
    differences = float((ordered * (2 * np.arange(m) - m + 1)).sum())
    return min(1.0, 1.0 - 2.0 * differences / (m * (m - 1)))


@dataclass(frozen=True, slots=True)
class Variety:
    """What a list keeps to besides worth: `similarity` (n, n) of tracks, `diversity` 0..1, and a cap an artist.

    `artists` (n,) are codes, negative where unknown; tracks of unknown artists are not capped.
    """

    similarity: NDArray[np.float32]
    artists: NDArray[np.int32]
    diversity: float
    artist_cap: int

    def open_places(self, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool (n,): tracks that are not in the list, of artists that have room in it."""
        free = np.ones(len(self.artists), np.bool_)
        free[chosen] = False
        codes = self.artists[chosen]
        codes, counts = np.unique(codes[codes >= 0], return_counts=True)
        return free & ~np.isin(self.artists, codes[counts >= self.artist_cap])


def fair_turns(
    worth: Floats, weights: Floats, *, limit: int, variety: Variety
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the list's tracks in order, and the member whose turn each was; min(limit, n) of both.

    It is the turn of whoever has got least so far, by satisfaction over weight; of equals the one of most weight, then
    the first. They get what is worth most to them, less what is like a track before (maximal marginal relevance). When
    every artist left has as many tracks as may be, the cap is lifted.
    """
    count = min(limit, worth.shape[1])
    attainable = best_worth(worth, count)
    attainable = np.where(attainable > 0, attainable, 1.0)
    having_say = np.flatnonzero(weights > 0)
    value = (1.0 - variety.diversity) * (worth + _TIE * average(worth, weights))
    nearest = np.zeros(worth.shape[1])
    got = np.zeros(len(worth))
    chosen, turns = np.empty(count, np.int64), np.empty(count, np.int64)
    for place in range(count):
        reached = got[having_say] / attainable[having_say] / weights[having_say]
        member = having_say[np.lexsort((-weights[having_say], reached))[0]]
        free = variety.open_places(chosen[:place])
        if not free.any():
            free = np.ones(worth.shape[1], np.bool_)
            free[chosen[:place]] = False
        best = int(np.where(free, value[member] - variety.diversity * nearest, -np.inf).argmax())
        chosen[place], turns[place] = best, member
        got += worth[:, best]
        nearest = np.maximum(nearest, variety.similarity[best])
    return chosen, turns


def raise_floor(
    worth: Floats, weights: Floats, places: NDArray[np.int64], *, floor: float, variety: Variety
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The list after swaps that bring members up to `floor` of what the best list would be worth to them.

    Beside the places comes for each the member whom it was swapped in for, -1 where it stood before. Each swap gives
    the member who is farthest below one of their best tracks in place of another. It is the one that lessens most what
    all members lack together; of equal ones the group loses least by it. It ends when nobody of weight lacks anything,
    or when no such swap helps. What members lack together never grows.
    """
    having_say = np.flatnonzero(weights > 0)
    attainable = best_worth(worth, len(places))[having_say]
    fractions = worth[having_say] / np.where(attainable > 0, attainable, 1.0)[:, None]
    floors = np.where(attainable > 0, floor, 0.0)
    mean = average(worth, weights)
    places, helped = places.copy(), np.full(len(places), -1)
    reached = fractions[:, places].sum(axis=1)
    while len(places):
        lacking = np.maximum(floors - reached, 0.0)
        worst = int(lacking.argmax())
        if lacking[worst] <= _GAIN:
            break
        open_places = np.flatnonzero(variety.open_places(places))
        offered = open_places[np.argsort(-fractions[worst, open_places], kind="stable")[:_BEST_OF_WORST_OFF]]
        if not len(offered):
            break
        # (m, offered, k): what every member has after each swap.
        after = reached[:, None, None] + fractions[:, offered][:, :, None] - fractions[:, places][:, None, :]
        lacks = np.maximum(floors[:, None, None] - after, 0.0).sum(axis=0)
        loss = mean[places][None, :] - mean[offered][:, None]
        flat = int(np.lexsort((loss.ravel(), np.round(lacks, 9).ravel()))[0])
        give, take = np.unravel_index(flat, lacks.shape)
        if lacks[give, take] >= lacking.sum() - _GAIN:
            break
        places[take], helped[take] = offered[give], having_say[worst]
        reached = fractions[:, places].sum(axis=1)
    return places, helped
