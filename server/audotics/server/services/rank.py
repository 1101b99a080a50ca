"""`RankTracks`: a subject and the caller's own candidates go in, all of them come out in order."""

from __future__ import annotations

from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.listeners import Listeners
from audotics.server.services.picks import in_context
from audotics.server.services.tracks import served_rows
from audotics.server.types import RankQuery, Recommendation


class RankService:
    """Resolves the subject and the candidates and scores them, on one snapshot."""

    def __init__(self, *, registry: Registry, listeners: Listeners, recommender: Recommender) -> None:
        self._registry = registry
        self._listeners = listeners
        self._recommender = recommender

    async def rank(self, query: RankQuery) -> Recommendation:
        """Raises NotFoundError for unknown tracks, NotReadyError, DeadlineError, OverloadedError."""
        snapshot = self._registry.select(query.models)
        rows = served_rows(snapshot.catalog, query.track_ids)
        listener, degraded = await self._listeners.resolve(query.subject, snapshot.catalog)
        query = in_context(query, listener)
        return await self._recommender.rank(snapshot, listener, rows, query, degraded=degraded)
