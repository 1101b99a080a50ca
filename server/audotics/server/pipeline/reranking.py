"""From scores to a list: what the order shall serve, variety and the artist cap go in, positions in order come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from audotics.server.repository.signals import Signals
from audotics.server.types import Objectives

Embed: TypeAlias = Callable[[NDArray[np.int64]], NDArray[np.float32] | None]
"""Content embeddings float32 (k, d) of the rows at places (k,), None where there is no content model."""

_POOL_PER_PLACE: Final = 3
_SMALLEST_POOL: Final = 50


def utility(
    score: NDArray[np.float32], rows: NDArray[np.int64], *, signals: Signals, objectives: Objectives
) -> NDArray[np.float32]:
    """What the order serves, float32 (n,): the objectives' signals of `rows`, standardised, mixed by weight.

    Relevance alone is the score itself.
    """
    others = (
        (-objectives.novelty, signals.popularity),
        (objectives.popularity, signals.popularity),
        (objectives.freshness, signals.freshness),
        (-objectives.artist_fairness, signals.exposure),
    )
    if objectives.relevance and not any(weight for weight, _ in others):
        return score
    mixed = np.float32(objectives.relevance) * _standardised(score)
    for weight, signal in others:
        if weight:
            mixed += np.float32(weight) * _standardised(signal.take(rows))
    return mixed


def select(
    values: NDArray[np.float32],
    *,
    embed: Embed,
    artists: NDArray[np.int32],
    limit: int,
    diversity: float,
    artist_cap: int,
) -> NDArray[np.int64]:
    """Positions of the list's tracks in order, min(limit, n) of them.

    Maximal marginal relevance (Carbonell and Goldstein, 1998) over the best of `values` (n,), scaled to 0..1, with the
    cosine of what `embed` returns; without embeddings, tracks of one artist count as the same. At most `artist_cap`
    tracks of an artist, by `artists` (n,), -1 for unknown, are in the list unless it would be too short: then the best
    of the others come after them.
    """
    order = np.argsort(-values, kind="stable")
    capped = _rank_within_artist(artists[order]) < artist_cap
    eligible = order[capped]
    pool = eligible[: max(_SMALLEST_POOL, _POOL_PER_PLACE * limit)]
    if diversity > 0:
        chosen = _marginal(values[pool], _similarity(embed(pool), artists[pool]), limit=limit, diversity=diversity)
        pool = pool[chosen]
    if len(pool) < limit:
        pool = np.concatenate([pool, order[~capped]])
    return pool[:limit]


def _marginal(
    values: NDArray[np.float32], similarity: NDArray[np.float32], *, limit: int, diversity: float
) -> NDArray[np.int64]:
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    gain = np.float32(1.0 - diversity) * (values - low) / np.float32((high - low) or 1.0)
    beside = gain - np.float32(diversity) * similarity  # [i, j]: what j is worth at most, once i is chosen
    worth = gain.copy()
    chosen = np.empty(min(limit, len(values)), np.int64)
    for place in range(len(chosen)):
        best = worth.argmax()
        chosen[place] = best
        worth[best] = -np.inf
        np.minimum(worth, beside[best], out=worth)
    return chosen


def _similarity(embeddings: NDArray[np.float32] | None, artists: NDArray[np.int32]) -> NDArray[np.float32]:
    if embeddings is not None:
        cosines: NDArray[np.float32] = embeddings @ embeddings.T
        return cosines
    return np.asarray((artists[:, None] == artists) & (artists >= 0), np.float32)


def _rank_within_artist(artists: NDArray[np.int32]) -> NDArray[np.int64]:
    """For artists (n,) in list order, how many tracks of the same artist come before each; 0 where unknown."""
    grouped = np.argsort(artists, kind="stable")
    codes = artists[grouped]
    places = np.arange(len(artists))
    first = np.ones(len(artists), np.bool_)
    first[1:] = codes[1:] != codes[:-1]
    ranks = np.empty(len(artists), np.int64)
    ranks[grouped] = places - np.maximum.accumulate(np.where(first, places, 0))
    ranks[artists < 0] = 0
    return ranks


def _standardised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if not len(values):
        return values
    centred: NDArray[np.float32] = values - values.mean()
    spread = centred.std()
    return centred / spread if spread > 0 else centred
