"""`SimilarTracks`: a track, features or a vector go in, the nearest tracks come out."""

from __future__ import annotations

from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.types import Similarity, SimilarQuery


class SimilarService:
    """Searches the content embeddings of one snapshot."""

    def __init__(self, *, registry: Registry, recommender: Recommender) -> None:
        self._registry = registry
        self._recommender = recommender

    async def similar(self, query: SimilarQuery) -> Similarity:
        """Raises NotFoundError for an unknown track, InvalidRequestError for a vector of another dimension."""
        return await self._recommender.similar(self._registry.select(query.models), query)
