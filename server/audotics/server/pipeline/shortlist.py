"""What a list is made from: a listener's candidates, scored. Remembered for those who come back unchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline.lru import LruCache
from audotics.server.pipeline.relevance import Relevance
from audotics.server.pipeline.scoring import ScoredRows
from audotics.server.pipeline.slate import Slate
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Context, Degradation, Listener, RecommendQuery, TrackFilter

_REMEMBERED: Final = 1024
_SHORT_LIMIT: Final = 50
"""Lists up to this long are made from the same candidates."""


@dataclass(frozen=True, slots=True, eq=False)
class Shortlist:
    """n catalogue rows (n,) with their relevance to a listener; `degraded` says what took no part in it."""

    taste: Taste
    rows: NDArray[np.int64]
    relevance: Relevance
    degraded: tuple[Degradation, ...]

    @classmethod
    def of(cls, slate: Slate, scored: ScoredRows) -> Self:
        """Without what only scoring needed, and the embeddings: they take most space, and are gathered in no time."""
        taste = replace(slate.taste, sounds=None, next_tracks=None)
        return cls(taste, slate.rows, Relevance.of(scored), (*slate.taste.degraded, *scored.degraded))

    def embeddings(self, snapshot: Snapshot, places: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Content embeddings float32 (k, d) of the rows at `places` (k,), None without a content model."""
        return None if snapshot.content is None else snapshot.content.vectors(self.rows[places])


@dataclass(frozen=True, slots=True)
class _Key:
    """A listener is told by identity: whoever resolves subjects keeps the object until something is known anew."""

    model_versions: tuple[tuple[str, int], ...]
    index_version: str
    listener: int
    limit: int
    context: Context
    filter: TrackFilter

    @classmethod
    def of(cls, snapshot: Snapshot, listener: Listener, query: RecommendQuery) -> Self | None:
        """None for a query whose shortlist is not worth remembering: nobody asks it again."""
        if query.subject.kind != "user" or query.excluded:
            return None
        limit = max(query.limit, _SHORT_LIMIT)
        return cls(snapshot.model_versions, snapshot.index_version, id(listener), limit, query.context, query.filter)


@dataclass(frozen=True, slots=True, eq=False)
class _Remembered:
    """Holding on to the listener keeps its identity, which is part of the key, from being given to another."""

    listener: Listener
    user_id: str
    shortlist: Shortlist


class Shortlists:
    """Remembers the shortlists of listeners who come back before they, the catalogue or a model have changed.

    The keys name all versions, so nothing that was made by another model or from another catalogue is ever found.
    """

    def __init__(self) -> None:
        self._remembered: LruCache[_Key, _Remembered] = LruCache(_REMEMBERED)

    def find(self, snapshot: Snapshot, listener: Listener, query: RecommendQuery) -> Shortlist | None:
        """The shortlist for this query, if it was made before and still holds."""
        key = _Key.of(snapshot, listener, query)
        known = None if key is None else self._remembered.find(key)
        return None if known is None else known.shortlist

    def forget(self, user_id: str) -> int:
        """Drop everything made for a listener, whatever was known of them then, and say how many shortlists it was."""
        return self._remembered.discard(lambda remembered: remembered.user_id == user_id)

    def put(self, snapshot: Snapshot, listener: Listener, query: RecommendQuery, shortlist: Shortlist) -> None:
        """Remember a shortlist, unless a model failed or was too late for it: it may be back the next time."""
        key = _Key.of(snapshot, listener, query)
        if key is not None and not shortlist.degraded:
            self._remembered.put(key, _Remembered(listener, query.subject.user_id, shortlist))
