"""Feedback: events as sent go in, and each is accepted once it is on disk, a duplicate, or rejected with the reason."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from audotics.features.history import SEEN_EVENTS
from audotics.server.repository.registry import Registry
from audotics.server.services.clock import SteadyClock
from audotics.server.services.event_log import EventLog
from audotics.server.types import Event

EVENT_TYPES: Final = SEEN_EVENTS | {"follow_artist", "impression"}

_MAX_ID_LENGTH: Final = 256
_MAX_OFFSET_MINUTES: Final = 18 * 60
_MAX_RATING: Final = 5.0
_MAX_AHEAD_S: Final = 24 * 3600.0
"""Clocks of phones are wrong; a day covers that and every time zone mistake."""


@dataclass(frozen=True, slots=True)
class SubmittedEvent:
    """An event as it was sent. `type` is "" when it names none, `occurred_at` (UTC seconds) None when unset."""

    event_id: str
    user_id: str
    track_id: str
    type: str
    occurred_at: float | None = None
    recommendation_id: str = ""
    rating: float | None = None
    utc_offset_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """What became of one event. `reason` says why it was rejected; an id that is too long comes back cut."""

    event_id: str
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str = ""


class FeedbackService:
    """Checks events and has them stored durably."""

    def __init__(self, *, registry: Registry, log: EventLog, now: Callable[[], float] = time.time) -> None:
        self._registry = registry
        self._log = log
        self._now = now
        self._steady_now = SteadyClock(now)
        self.counts: Final[Counter[str]] = Counter(accepted=0, duplicate=0, rejected=0)
        """Events since the start, by what became of them."""

    async def record(self, submitted: Sequence[SubmittedEvent]) -> list[FeedbackResult]:
        """One result an event, in order. What is accepted or a duplicate is on disk, and the next list knows of it.

        Raises OverloadedError or StorageError; nothing is acknowledged then, and sending again is safe.
        """
        now, steady_now = self._now(), self._steady_now()
        catalog = self._registry.snapshot.catalog
        served = (catalog.rows_of([event.track_id for event in submitted]) >= 0).tolist()
        reasons = [_objection(event, served=known, now=now) for event, known in zip(submitted, served, strict=True)]
        events = [
            Event(
                event.event_id,
                event.user_id,
                event.track_id,
                event.type,
                steady_now if event.occurred_at is None else event.occurred_at,
                event.recommendation_id,
                event.rating,
                event.utc_offset_minutes,
            )
            for event, reason in zip(submitted, reasons, strict=True)
            if not reason
        ]
        outcomes = iter(await self._log.append(events, received_at=now))
        results = [
            FeedbackResult(event.event_id[:_MAX_ID_LENGTH], "rejected", reason)
            if reason
            else FeedbackResult(event.event_id, next(outcomes))
            for event, reason in zip(submitted, reasons, strict=True)
        ]
        self.counts.update(result.status for result in results)
        return results


def _objection(event: SubmittedEvent, *, served: bool, now: float) -> str:
    """Why the event cannot be taken: the field, what is wrong, what to send instead. Empty when it can."""
    for name, value in (("event_id", event.event_id), ("user_id", event.user_id), ("track_id", event.track_id)):
        if not 1 <= len(value) <= _MAX_ID_LENGTH:
            return f"{name}: has {len(value)} characters; send 1 to {_MAX_ID_LENGTH}"
        if "\0" in value:
            return f"{name}: has a NUL character; leave it out"
    if len(event.recommendation_id) > _MAX_ID_LENGTH or "\0" in event.recommendation_id:
        return f"recommendation_id: is too long or has a NUL character; send up to {_MAX_ID_LENGTH} characters"
    if event.type not in EVENT_TYPES:
        return f"type: names no event; send one of {', '.join(sorted(EVENT_TYPES))}"
    if event.type == "rating":
        if event.rating is None or not 0.0 <= event.rating <= _MAX_RATING:
            return f"rating: is {event.rating}; a rating event needs one from 0 to {_MAX_RATING:g}"
    elif event.rating is not None:
        return f"rating: goes with type rating only, not with {event.type}; leave it unset"
    if event.occurred_at is not None:
        if not math.isfinite(event.occurred_at) or event.occurred_at < 0:
            return "occurred_at: is not a time since 1970; send seconds since the epoch, or leave it unset for now"
        if event.occurred_at > now + _MAX_AHEAD_S:
            return "occurred_at: is more than a day in the future; correct the clock, or leave it unset for now"
    offset = event.utc_offset_minutes
    if offset is not None and abs(offset) > _MAX_OFFSET_MINUTES:
        return (
            f"utc_offset_minutes: is {offset}; send {-_MAX_OFFSET_MINUTES} to {_MAX_OFFSET_MINUTES}, or leave it unset"
        )
    if not served:
        return f"track_id: {event.track_id!r} is not in the catalogue; add it with UpsertTracks first"
    return ""
