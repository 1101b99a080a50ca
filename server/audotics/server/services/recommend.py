"""`Recommend`: a query goes in, a ranked list of the catalogue's tracks comes out."""

from __future__ import annotations

from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.listeners import Listeners
from audotics.server.types import Recommendation, RecommendQuery


class RecommendService:
    """Resolves the subject and runs the pipeline, both on one snapshot."""

    def __init__(self, *, registry: Registry, listeners: Listeners, recommender: Recommender) -> None:
        self._registry = registry
        self._listeners = listeners
        self._recommender = recommender

    async def recommend(self, query: RecommendQuery) -> Recommendation:
        """Raises NotFoundError for unknown seed tracks, NotReadyError, DeadlineError, OverloadedError."""
        snapshot = self._registry.snapshot
        listener, degraded = await self._listeners.resolve(query.subject, snapshot.catalog)
        return await self._recommender.recommend(snapshot, listener, query, degraded=degraded)
