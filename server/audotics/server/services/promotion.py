"""The promotion gate: a version goes in, and may become `stable` only when nothing speaks against it.

What is asked: that the export was as good as what was trained, that the golden requests of the repository are answered
as they should be, that training listeners get whole lists, and, where the version has been a shadow, that its lists
resembled those in service.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from audotics.server.errors import AudoticsError, RefusedModelError
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.history import BY_OPERATOR, Cause, ModelChange, ModelEvent
from audotics.server.repository.loading import CATALOG, OPTIONAL_KINDS, RANKING_KINDS
from audotics.server.repository.registry import Registry
from audotics.server.repository.snapshot import Snapshot
from audotics.server.services.golden import read_golden
from audotics.server.services.listeners import Listeners
from audotics.server.services.shadow import Shadow
from audotics.server.types import DegradationReason, ModelSelector, Recommendation, RecommendQuery, Subject

_PROBES: Final = 20
"""Training listeners whose lists are made."""

_PROBE_LIMIT: Final = 10
_FEW: Final = 20
"""So many comparisons of a shadow say nothing yet."""


@dataclass(frozen=True, slots=True)
class PromotionLimits:
    """What a shadow must have shown, where `shadow_requests` 0 lets a version pass that was none.

    A list may take `list_s`.
    """

    shadow_requests: int = 0
    min_overlap: float = 0.2
    max_failure_share: float = 0.01
    list_s: float = 30.0


class NotPromotedError(RefusedModelError):
    """A version that can be loaded, and is, should not serve."""


class PromotionGate:
    """Checks versions. The lists are made by a recommender that is not the one that serves."""

    def __init__(
        self,
        *,
        registry: Registry,
        recommender: Recommender,
        listeners: Listeners,
        shadow: Shadow,
        executor: Executor,
        golden: Path,
        limits: PromotionLimits | None = None,
    ) -> None:
        """`golden` names the file of golden requests, which need not exist; `executor` reads it."""
        self._registry = registry
        self._recommender = recommender
        self._listeners = listeners
        self._shadow = shadow
        self._executor = executor
        self._golden = golden
        self._limits = PromotionLimits() if limits is None else limits

    async def check(self, name: str, version: int, *, cause: Cause = BY_OPERATOR) -> None:
        """Load the version beside what serves, and raise NotPromotedError with all that speaks against it.

        `cause` is told with the refusal. Raises NotFoundError where there is no such version, and RefusedModelError
        where it cannot be loaded.
        """
        if name == CATALOG:
            return  # it has no scores to check
        await self._registry.load_beside(name, version, cause=replace(cause, reason="for the promotion gate"))
        problems = self._parity(name, version)
        if name in RANKING_KINDS or name in OPTIONAL_KINDS:
            snapshot = self._registry.select(ModelSelector(versions=((name, version),)))
            try:
                problems += await self._probe(snapshot) + await self._ask_golden(snapshot)
            except TimeoutError:  # the next list might take as long
                problems.append(f"a list is not made within {self._limits.list_s:g} s")
            problems += self._compare_shadow(name, version)
        if problems:
            reason = f"{name}/{version} does not pass the promotion gate: {'; '.join(problems)}"
            digest = self._registry.loaded(name, version=version).bundle.manifest.digest
            self._registry.tell([ModelChange(ModelEvent.REFUSED, name, version, cause, reason=reason, digest=digest)])
            raise NotPromotedError(reason)

    def _parity(self, name: str, version: int) -> list[str]:
        parity = self._registry.loaded(name, version=version).bundle.manifest.parity
        difference, limit = parity.get("max_abs_diff"), parity.get("limit")
        if difference is None or limit is None or difference <= limit:  # never true of NaN
            return []
        return [f"its export differs from what was trained by {difference:.2g}, and {limit:.2g} is allowed"]

    async def _probe(self, snapshot: Snapshot) -> list[str]:
        """Make lists for listeners of the training data, on the version and on what serves."""
        served = self._registry.snapshot
        for user_id in snapshot.catalog.listeners(_PROBES):
            query = RecommendQuery(subject=Subject("user", user_id=user_id), limit=_PROBE_LIMIT)
            answer = await self._answer(snapshot, query)
            if isinstance(answer, str):
                return [f"listener {user_id!r} gets no list: {answer}"]
            expected = await self._answer(served, query)
            n_expected = 0 if isinstance(expected, str) else len(expected.tracks)
            if len(answer.tracks) < n_expected:
                return [f"listener {user_id!r} gets {len(answer.tracks)} tracks in place of {n_expected}"]
            if not all(math.isfinite(track.score) for track in answer.tracks):
                return [f"listener {user_id!r} gets scores that are no numbers"]
        return []

    async def _ask_golden(self, snapshot: Snapshot) -> list[str]:
        loop = asyncio.get_running_loop()
        problems = []
        for place, golden in enumerate(await loop.run_in_executor(self._executor, partial(read_golden, self._golden))):
            answer = await self._answer(snapshot, golden.query)
            if isinstance(answer, str):
                problems.append(f"golden request {place} is not answered: {answer}")
                continue
            found = len(golden.expected.intersection(track.track_id for track in answer.tracks))
            if found < golden.least:
                problems.append(f"golden request {place} holds {found} of the expected tracks, not {golden.least}")
        return problems

    async def _answer(self, snapshot: Snapshot, query: RecommendQuery) -> Recommendation | str:
        """The list, or why there is none. Raises TimeoutError."""
        try:
            listener, degraded = await self._listeners.resolve(query.subject, snapshot.catalog)
            async with asyncio.timeout(self._limits.list_s):
                answer = await self._recommender.recommend(snapshot, listener, query, degraded=degraded)
        except AudoticsError as error:
            return str(error)
        failed = [part.detail for part in answer.degraded if part.reason is DegradationReason.FAILED]
        return failed[0] if failed else answer

    def _compare_shadow(self, name: str, version: int) -> Sequence[str]:
        report, limits = self._shadow.report(), self._limits
        if report is None or (name, version) not in report.versions:
            asked = limits.shadow_requests
            return [f"it has not been a shadow, and {asked} comparisons are asked for"] if asked else []
        n_tried = report.request_count + report.failure_count
        if n_tried < limits.shadow_requests:
            return [f"{n_tried} requests have been compared with it, and {limits.shadow_requests} are asked for"]
        problems = []
        if n_tried >= _FEW and report.failure_count > limits.max_failure_share * n_tried:
            problems.append(f"as a shadow it failed on {report.failure_count} of {n_tried} requests")
        if report.request_count >= _FEW and report.overlap_at_k < limits.min_overlap:
            problems.append(
                f"as a shadow it shared {report.overlap_at_k:.2f} of the first {report.k} tracks with what serves, and "
                f"{limits.min_overlap:.2f} are asked for"
            )
        return problems
