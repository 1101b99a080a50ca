"""`Recommend`: a query goes in, a ranked list of the catalogue's tracks comes out."""

from __future__ import annotations

from dataclasses import replace

from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.arms import on_snapshot
from audotics.server.services.assigner import Assigner
from audotics.server.services.attempt import Attempt
from audotics.server.services.learning import Learning
from audotics.server.services.listeners import Listeners
from audotics.server.services.picks import in_context
from audotics.server.services.probation import Probation
from audotics.server.services.shadow import Shadow
from audotics.server.types import Recommendation, RecommendQuery


class RecommendService:
    """Resolves the subject and the arms of experiments, and runs the pipeline, all on one snapshot.

    Lets the shadow and the probation look on.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        listeners: Listeners,
        recommender: Recommender,
        shadow: Shadow | None = None,
        probation: Probation | None = None,
        assigner: Assigner | None = None,
        learning: Learning | None = None,
    ) -> None:
        """With `learning`, lists whose caller leaves the models to the server are made with a drawn tilt."""
        self._registry = registry
        self._listeners = listeners
        self._recommender = recommender
        self._shadow = shadow
        self._probation = probation
        self._assigner = assigner
        self._learning = learning

    async def recommend(self, query: RecommendQuery) -> Recommendation:
        """Raises NotFoundError for unknown seed tracks or versions, NotReadyError, DeadlineError, OverloadedError."""
        asked = query
        assigned = on_snapshot(asked, registry=self._registry, assigner=self._assigner)
        query, snapshot = assigned.query, assigned.snapshot
        listener, degraded = await self._listeners.resolve(query.subject, snapshot.catalog)
        degraded = (*assigned.degraded, *degraded)
        query = in_context(query, listener)
        if self._learning is not None and asked.models is None:
            hybrid = 0 if snapshot.hybrid is None else snapshot.hybrid.version
            draw = self._learning.draw(query.subject, listener, query.context, arm=query.arm_key, hybrid=hybrid)
            query = replace(query, draw=draw)
        attempt = Attempt()
        try:
            with attempt:
                answer = await self._recommender.recommend(snapshot, listener, query, degraded=degraded)
                attempt.answered(answer.degraded)
        finally:
            elapsed_s, failed = attempt.elapsed_s, attempt.failed
            if self._probation is not None and query.models is None:
                self._probation.observe(snapshot.model_versions, elapsed_s=elapsed_s, failed=failed)
            if self._assigner is not None and query.exposures:
                self._assigner.observe(query.exposures, elapsed_s=elapsed_s, failed=failed)
        if self._shadow is not None:
            self._shadow.offer(query, listener, degraded, answer, elapsed_s=elapsed_s)
        return replace(answer, exposures=query.exposures) if query.exposures else answer
