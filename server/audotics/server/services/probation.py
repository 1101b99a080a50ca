"""Probation of fresh versions: how requests went goes in; versions that do worse than those before are rolled back.

Whenever other versions than before make the lists, their errors and times are compared with what went before, over the
next requests. What does not stand that is rolled back, once; what does is what the next versions are compared with.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from audotics.server.errors import AudoticsError
from audotics.server.repository.history import Cause, Origin
from audotics.server.repository.loading import HYBRID

_LOG: Final = logging.getLogger(__name__)

Versions = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ProbationLimits:
    """How much worse fresh versions may be, from `min_requests` until `duration_s` after they came.

    `error_share` is that of failed requests beyond the one before; the 95th percentile of times may be `time_ratio`
    times as long as before, and `time_slack_s` more. The first `settling` requests do not count: they find cold caches.
    """

    duration_s: float = 600.0
    min_requests: int = 100
    settling: int = 50
    error_share: float = 0.05
    time_ratio: float = 3.0
    time_slack_s: float = 0.02
    window: int = 1000


class Probation:
    """Watches the requests that the versions in service answer. Leaving the context waits for a rollback under way."""

    def __init__(
        self,
        roll_back: Callable[..., Coroutine[Any, Any, object]],
        *,
        limits: ProbationLimits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`roll_back` takes the name of a model, and as `cause` why it goes back."""
        self._roll_back = roll_back
        self._limits = ProbationLimits() if limits is None else limits
        self._now = now
        self._trusted: _Record | None = None
        self._fresh: _Record | None = None
        self._distrusted: Versions | None = None
        self._insisted = 0
        """Requests in a row that what was rolled back answered."""
        self._undoing: asyncio.Task[None] | None = None
        self.rollbacks: Final[Counter[str]] = Counter()
        """Models that were rolled back since the start."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.settled()

    async def settled(self) -> None:
        """Wait for a rollback under way."""
        if self._undoing is not None:
            await asyncio.wait([self._undoing])

    def observe(self, versions: Versions, *, elapsed_s: float, failed: bool) -> None:
        """Count a request that `versions` answered, or failed to; begin a rollback when that is too much."""
        if not self._counts(versions):
            return
        record = self._record_of(versions)
        record.add(elapsed_s, failed)
        if record is self._trusted or self._trusted is None:
            return
        reason = self._verdict(record, self._trusted)
        if reason is not None:
            self._fresh, self._distrusted = None, versions
            self._undoing = asyncio.create_task(self._undo(versions, self._trusted.versions, reason))
        elif self._now() - record.since >= self._limits.duration_s:
            self._trusted, self._fresh = record, None

    def _counts(self, versions: Versions) -> bool:
        """Not what was under way when its versions were rolled back, which is answered by them still."""
        if versions != self._distrusted or (self._trusted is not None and self._trusted.versions == versions):
            self._insisted = 0
            return True
        self._insisted += 1
        return self._insisted >= self._limits.min_requests

    def _record_of(self, versions: Versions) -> _Record:
        for record in (self._trusted, self._fresh):
            if record is not None and record.versions == versions:
                return record
        record = _Record(versions, self._now(), self._limits)
        if self._trusted is None or versions == self._distrusted:
            # Nothing to compare with; or somebody insists on versions that were rolled back, and gets them.
            self._trusted, self._fresh = record, None
        else:
            self._fresh = record
        return record

    def _verdict(self, fresh: _Record, trusted: _Record) -> str | None:
        limits = self._limits
        if fresh.count < limits.min_requests or trusted.count < limits.min_requests:
            return None
        if fresh.failed_share > trusted.failed_share + limits.error_share:
            return f"{fresh.failed_share:.0%} of requests fail, where {trusted.failed_share:.0%} did before"
        if fresh.count % limits.min_requests:
            return None  # a percentile over the whole window is for now and then
        before, after = trusted.slowest_s, fresh.slowest_s
        if after > limits.time_ratio * before + limits.time_slack_s:
            return f"the 95th percentile of times is {1000 * after:.0f} ms, and was {1000 * before:.0f} ms before"
        return None

    async def _undo(self, versions: Versions, trusted: Versions, reason: str) -> None:
        before = dict(trusted)
        changed = [name for name, version in versions if before.get(name, version) != version]
        # The parts of a hybrid go back with it.
        for name in [HYBRID] if HYBRID in changed else changed:
            _LOG.error("%s/%d is rolled back: %s", name, dict(versions)[name], reason)
            try:
                await self._roll_back(name, cause=Cause(Origin.PROBATION, reason=reason))
                self.rollbacks[name] += 1
            except AudoticsError as error:
                _LOG.error("%s cannot be rolled back: %s", name, error)


class _Record:
    """The latest requests that certain versions answered."""

    def __init__(self, versions: Versions, since: float, limits: ProbationLimits) -> None:
        self.versions = versions
        self.since = since
        self._settling = limits.settling
        self._failed: deque[bool] = deque(maxlen=limits.window)
        self._times_s: deque[float] = deque(maxlen=limits.window)
        self._n_failed = 0
        self.count = 0

    def add(self, elapsed_s: float, failed: bool) -> None:
        if self._settling > 0:
            self._settling -= 1
            return
        if len(self._failed) == self._failed.maxlen:
            self._n_failed -= self._failed[0]
        self._failed.append(failed)
        self._n_failed += failed
        self._times_s.append(elapsed_s)
        self.count += 1

    @property
    def failed_share(self) -> float:
        return self._n_failed / max(len(self._failed), 1)

    @property
    def slowest_s(self) -> float:
        """The 95th percentile."""
        return float(np.percentile(self._times_s, 95))
