"""Candidates: near rows, a context and the allowed rows go in, a few hundred distinct rows worth scoring come out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.hybrid import context_scores
from audotics.server.pipeline.lru import LruCache
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Context

_CACHED_ORDERS: Final = 64
_ORDER_ROWS: Final = 5000
_POPULARITY_IN_CONTEXT: Final = 1.0


class ContextOrders:
    """The tracks that suit a situation best, each order made once for a catalogue."""

    def __init__(self) -> None:
        self._orders: LruCache[tuple[int, Context], NDArray[np.int64]] = LruCache(_CACHED_ORDERS)

    def order(self, catalog: Catalog, context: Context) -> NDArray[np.int64]:
        """Rows of the best tracks by context score and a little popularity, best first, at most 5,000."""
        return self._orders.get((catalog.generation, context), lambda: _context_order(catalog, context))


def choose_candidates(
    snapshot: Snapshot,
    near: NDArray[np.int64],
    context: Context,
    *,
    allowed: NDArray[np.bool_],
    limit: int,
    options: PipelineOptions,
    orders: ContextOrders,
) -> NDArray[np.int64]:
    """Distinct rows, ascending, all of them allowed; at least `limit` of them when so many are.

    They are those of `near` (m,), with tracks that suit the context when one is given, and popular ones when there are
    too few. `allowed` is bool (n,).
    """
    rows = near
    if context.asks:
        k = max(options.context_candidates, 2 * limit)
        rows = np.concatenate([rows, first_allowed(orders.order(snapshot.catalog, context), allowed, k)])
    rows = _distinct(rows[allowed[rows]])
    wanted = max(options.minimum_candidates, 2 * limit)
    if len(rows) < wanted or not len(near):
        popular = first_allowed(snapshot.catalog.signals.popular_order, allowed, wanted)
        rows = _distinct(np.concatenate([rows, popular]))
    return rows


def best_matches(snapshot: Snapshot, taste: Taste, matches: NDArray[np.int64], *, limit: int) -> NDArray[np.int64]:
    """At most `limit` of the matches: the best by collaborative score, then, where there is none, the most popular."""
    if len(matches) <= limit:
        return matches
    keys = [-snapshot.catalog.signals.popularity[matches]]
    if snapshot.collaborative is not None and taste.user_vector is not None:
        scores = snapshot.collaborative.scores(taste.user_vector, matches)
        keys.append(-np.nan_to_num(scores, nan=-np.inf))
    return np.sort(matches[np.lexsort(keys)[:limit]])


def first_allowed(order: NDArray[np.integer], allowed: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """The first `count` allowed rows of `order`; fewer when there are no more."""
    size = 4 * count
    while True:
        head = order[:size]
        rows = head[allowed[head]]
        if len(rows) >= count or size >= len(order):
            return np.asarray(rows[:count], np.int64)
        size *= 4


def _distinct(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """As np.unique, whose hashing takes eight times as long for a few hundred rows."""
    rows = np.sort(rows)
    first = np.ones(len(rows), np.bool_)
    np.not_equal(rows[1:], rows[:-1], out=first[1:])
    return rows[first]


def _context_order(catalog: Catalog, context: Context) -> NDArray[np.int64]:
    scores = context_scores(
        catalog.moods,
        catalog.genre_fits,
        mood=context.mood,
        wanted_genres=context.genres,
        activity=context.activity,
        day_part=context.day_part,
    )
    scores = scores + _POPULARITY_IN_CONTEXT * catalog.signals.popularity
    return np.argsort(-scores, kind="stable")[:_ORDER_ROWS].copy()
