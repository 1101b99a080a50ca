"""The shadow: live requests and their answers go in, what another version would have answered is compared with them.

The versions with the label `shadow` answer a sampled share of the requests, one at a time, on a recommender of their
own: callers neither wait for it nor see anything of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, pstdev
from types import TracebackType
from typing import Final, Self

from audotics.server.errors import AudoticsError, NotFoundError, NotReadyError
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import (
    Degradation,
    DegradationReason,
    Listener,
    ModelSelector,
    Recommendation,
    RecommendQuery,
)

_LOG: Final = logging.getLogger(__name__)
SHADOW: Final = "shadow"
K: Final = 10
_TIMES: Final = 1000
"""Durations that the medians are taken over."""


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What the comparison has shown since `versions` got the label. `overlap_at_k` and `score_drift` are averages.

    `overlap_at_k` is the share of the first `k` tracks that both lists have; `score_drift` how much higher the shadow
    scores its own, in standard deviations of the served list's scores.
    """

    versions: tuple[tuple[str, int], ...]
    request_count: int
    failure_count: int
    skipped_count: int
    overlap_at_k: float
    score_drift: float
    served_s: float
    shadow_s: float
    k: int = K


class Shadow:
    """Compares. Use it as an async context manager; leaving it ends the comparison under way."""

    def __init__(
        self, *, registry: Registry, recommender: Recommender, share: float, sample: random.Random | None = None
    ) -> None:
        """`recommender` must not be the one that serves; `share` is that of the requests which are compared, 0..1."""
        self._registry = registry
        self._recommender = recommender
        self._share = share
        self._sample = random.Random(0) if sample is None else sample
        self._task: asyncio.Task[None] | None = None
        self._tally = _Tally(())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def offer(
        self,
        query: RecommendQuery,
        listener: Listener,
        degraded: Sequence[Degradation],
        answer: Recommendation,
        *,
        elapsed_s: float,
    ) -> None:
        """Take note of a request that was answered in `elapsed_s`; returns at once, and perhaps compares afterwards."""
        versions = self._registry.labelled(SHADOW)
        if not versions or query.models is not None or self._sample.random() >= self._share:
            return
        tally = self._tally_of(versions)
        if self._task is not None and not self._task.done():
            tally.skipped += 1
            return
        try:
            snapshot = self._registry.select(ModelSelector(SHADOW))
        except (NotFoundError, NotReadyError) as error:
            tally.failed(f"the shadow cannot answer: {error}")
            return
        again = replace(query, deadline=None)
        self._task = asyncio.create_task(self._compare(snapshot, listener, again, degraded, answer, elapsed_s, tally))

    async def finished(self) -> None:
        """Wait for the comparison under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def report(self) -> ShadowReport | None:
        """None while no version has the label."""
        versions = self._registry.labelled(SHADOW)
        return self._tally_of(versions).report() if versions else None

    def _tally_of(self, versions: Mapping[str, int]) -> _Tally:
        key = tuple(sorted(versions.items()))
        if self._tally.versions != key:
            self._tally = _Tally(key)
        return self._tally

    async def _compare(
        self,
        snapshot: Snapshot,
        listener: Listener,
        query: RecommendQuery,
        degraded: Sequence[Degradation],
        served: Recommendation,
        elapsed_s: float,
        tally: _Tally,
    ) -> None:
        started = time.perf_counter()
        try:
            answer = await self._recommender.recommend(snapshot, listener, query, degraded=degraded)
        except AudoticsError as error:
            tally.failed(f"the shadow failed: {error}")
            return
        except Exception:
            _LOG.exception("the shadow failed")
            tally.failures += 1
            return
        if any(part.reason is DegradationReason.FAILED for part in answer.degraded):
            tally.failures += 1
        else:
            tally.add(served, answer, served_s=elapsed_s, shadow_s=time.perf_counter() - started)


class _Tally:
    """Sums over the comparisons of one choice of versions."""

    def __init__(self, versions: tuple[tuple[str, int], ...]) -> None:
        self.versions = versions
        self.failures = 0
        self.skipped = 0
        self._said = ""
        self._count = 0
        self._overlap = 0.0
        self._drift = 0.0
        self._served_s: deque[float] = deque(maxlen=_TIMES)
        self._shadow_s: deque[float] = deque(maxlen=_TIMES)

    def failed(self, problem: str) -> None:
        """Count a failure. What is wrong goes to the log when it changes, and not with every request."""
        self.failures += 1
        if problem != self._said:
            self._said = problem
            _LOG.warning("%s", problem)

    def add(self, served: Recommendation, shadow: Recommendation, *, served_s: float, shadow_s: float) -> None:
        ours, theirs = served.tracks[:K], shadow.tracks[:K]
        longest = max(len(ours), len(theirs))
        shared = {track.track_id for track in ours} & {track.track_id for track in theirs}
        self._count += 1
        self._overlap += len(shared) / longest if longest else 1.0
        spread = pstdev([track.score for track in ours]) if len(ours) > 1 else 0.0
        if theirs and spread > 0:
            self._drift += (fmean(track.score for track in theirs) - fmean(track.score for track in ours)) / spread
        self._served_s.append(served_s)
        self._shadow_s.append(shadow_s)

    def report(self) -> ShadowReport:
        count = max(self._count, 1)
        return ShadowReport(
            versions=self.versions,
            request_count=self._count,
            failure_count=self.failures,
            skipped_count=self.skipped,
            overlap_at_k=self._overlap / count,
            score_drift=self._drift / count,
            served_s=median(self._served_s) if self._served_s else 0.0,
            shadow_s=median(self._shadow_s) if self._shadow_s else 0.0,
        )
