"""`Recommend`: a query goes in, a ranked list of the catalogue's tracks comes out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from audotics.server.errors import AudoticsError, NotFoundError
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.runtime.model import InferenceError
from audotics.server.services.assigner import Assigner
from audotics.server.services.learning import Learning
from audotics.server.services.listeners import Listeners
from audotics.server.services.picks import in_context
from audotics.server.services.probation import Probation
from audotics.server.services.shadow import Shadow
from audotics.server.types import Degradation, DegradationReason, Recommendation, RecommendQuery


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
        without_arm: tuple[Degradation, ...] = ()
        if self._assigner is not None and self._assigner.running:
            query = self._assigner.assign(asked)
        try:
            snapshot = self._registry.select(query.models)
        except NotFoundError as error:
            if query.models is asked.models:
                raise
            # An arm's models have gone. Its listeners are served as everybody, and are not counted as the arm's.
            query, snapshot = asked, self._registry.snapshot
            without_arm = (Degradation("experiment", DegradationReason.UNAVAILABLE, str(error)),)
        listener, degraded = await self._listeners.resolve(query.subject, snapshot.catalog)
        degraded = (*without_arm, *degraded)
        query = in_context(query, listener)
        if self._learning is not None and asked.models is None:
            draw = self._learning.draw(query.subject, listener, query.context, arm=query.arm_key)
            query = replace(query, draw=draw)
        started = time.perf_counter()
        failed = True
        try:
            answer = await self._recommender.recommend(snapshot, listener, query, degraded=degraded)
            failed = any(part.reason is DegradationReason.FAILED for part in answer.degraded)
        except InferenceError:
            raise
        except (AudoticsError, asyncio.CancelledError):
            failed = False  # the caller's fault, or the load's
            raise
        finally:
            elapsed_s = time.perf_counter() - started
            if self._probation is not None and query.models is None:
                self._probation.observe(snapshot.model_versions, elapsed_s=elapsed_s, failed=failed)
            if self._assigner is not None and query.exposures:
                self._assigner.observe(query.exposures, elapsed_s=elapsed_s, failed=failed)
        if self._shadow is not None:
            self._shadow.offer(query, listener, degraded, answer, elapsed_s=elapsed_s)
        return replace(answer, exposures=query.exposures) if query.exposures else answer
