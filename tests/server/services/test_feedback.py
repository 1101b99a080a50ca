"""Feedback: every event gets its own answer, and an acknowledged one is stored and felt."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from audotics.server.repository.registry import Registry
from audotics.server.services.event_log import EventLog
from audotics.server.services.feedback import FeedbackService, SubmittedEvent
from audotics.server.services.listeners import Listeners
from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.storage.events import EventStore
from audotics.server.types import Event, Subject

NOW = 1_000_000.0
DAY_S = 86_400.0
GOOD = SubmittedEvent("e1", "new", "t001", "play")


@pytest.fixture
def feedback(registry: Registry, log: EventLog) -> FeedbackService:
    return FeedbackService(registry=registry, log=log, now=lambda: NOW)


async def test_an_accepted_event_is_stored_and_the_listener_knows(
    feedback: FeedbackService, events: EventStore, listeners: Listeners, registry: Registry
) -> None:
    subject, catalog = Subject("user", user_id="new"), registry.snapshot.catalog
    await listeners.resolve(subject, catalog)
    results = await feedback.record([GOOD, replace(GOOD, event_id="e2", track_id="t002", occurred_at=NOW - 5)])
    assert [result.status for result in results] == ["accepted", "accepted"]
    assert events.history("new") == [
        Event("e1", "new", "t001", "play", NOW),
        Event("e2", "new", "t002", "play", NOW - 5),
    ]
    listener, _ = await listeners.resolve(subject, catalog)
    assert list(catalog.columns.ids[listener.history]) == ["t002", "t001"]


async def test_duplicates_within_and_between_batches(feedback: FeedbackService) -> None:
    first = await feedback.record([GOOD, GOOD])
    again = await feedback.record([GOOD])
    assert [result.status for result in (*first, *again)] == ["accepted", "duplicate", "duplicate"]


BAD = [
    (replace(GOOD, event_id=""), "event_id"),
    (replace(GOOD, event_id="x" * 257), "event_id"),
    (replace(GOOD, user_id=""), "user_id"),
    (replace(GOOD, track_id=""), "track_id"),
    (replace(GOOD, track_id="nope"), "track_id"),
    (replace(GOOD, type=""), "type"),
    (replace(GOOD, type="rating"), "rating"),
    (replace(GOOD, type="rating", rating=5.1), "rating"),
    (replace(GOOD, type="rating", rating=-0.1), "rating"),
    (replace(GOOD, type="rating", rating=float("nan")), "rating"),
    (replace(GOOD, rating=4.0), "rating"),
    (replace(GOOD, occurred_at=NOW + DAY_S + 1), "occurred_at"),
    (replace(GOOD, occurred_at=-1.0), "occurred_at"),
    (replace(GOOD, occurred_at=float("nan")), "occurred_at"),
    (replace(GOOD, recommendation_id="x" * 257), "recommendation_id"),
    (replace(GOOD, event_id="a\0b"), "event_id"),
    (replace(GOOD, recommendation_id="a\0b"), "recommendation_id"),
]


async def test_a_bad_event_is_rejected_and_its_neighbours_are_not(
    feedback: FeedbackService, events: EventStore
) -> None:
    for number, (bad, field) in enumerate(BAD):
        before, after = replace(GOOD, event_id=f"before {number}"), replace(GOOD, event_id=f"after {number}")
        results = await feedback.record([before, bad, after])
        assert [result.status for result in results] == ["accepted", "rejected", "accepted"], bad
        assert [result.event_id for result in results] == [before.event_id, bad.event_id[:256], after.event_id]
        assert results[1].reason.startswith(f"{field}: "), results[1]
    assert len(events.history("new")) == 2 * len(BAD)


async def test_clocks_may_be_a_day_ahead(feedback: FeedbackService) -> None:
    results = await feedback.record([replace(GOOD, occurred_at=NOW + DAY_S)])
    assert results[0].status == "accepted"


async def test_an_event_of_a_deleted_track_is_rejected(feedback: FeedbackService, registry: Registry) -> None:
    await registry.apply_tracks(deletes=["t001"])
    results = await feedback.record([GOOD])
    assert results[0].status == "rejected"
    assert "'t001' is not in the catalogue" in results[0].reason


async def test_nothing_is_acknowledged_when_the_database_fails(feedback: FeedbackService, database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE events")
    with pytest.raises(StorageError):
        await feedback.record([GOOD])


async def test_a_caller_who_leaves_does_not_stop_the_write(
    feedback: FeedbackService, events: EventStore, log: EventLog
) -> None:
    call = asyncio.create_task(feedback.record([GOOD]))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await log.in_turn(lambda: None)
    assert [event.event_id for event in events.history("new")] == ["e1"]


async def test_late_events_and_those_out_of_order_count_by_when_they_happened(
    feedback: FeedbackService, listeners: Listeners, registry: Registry
) -> None:
    like, dislike = replace(GOOD, type="like"), replace(GOOD, type="dislike")
    sent = [
        replace(dislike, event_id="1", occurred_at=500.0),
        replace(like, event_id="2", occurred_at=400.0),
        replace(like, event_id="3", track_id="t002", occurred_at=0.0),
    ]
    for event in sent:
        assert (await feedback.record([event]))[0].status == "accepted"
    catalog = registry.snapshot.catalog
    listener, _ = await listeners.resolve(Subject("user", user_id="new"), catalog)
    assert list(catalog.columns.ids[listener.history]) == ["t002"]


async def test_a_clock_that_is_set_back_does_not_turn_judgements_round(
    registry: Registry, log: EventLog, events: EventStore
) -> None:
    readings = iter([2000.0, 2000.0, 1000.0, 1000.0])
    feedback = FeedbackService(registry=registry, log=log, now=lambda: next(readings))
    await feedback.record([replace(GOOD, event_id="1", type="dislike")])
    await feedback.record([replace(GOOD, event_id="2", type="like")])
    assert [event.occurred_at for event in events.history("new")] == [2000.0, 2000.0]


async def test_a_huge_event_is_rejected_in_few_words(feedback: FeedbackService, events: EventStore) -> None:
    (result,) = await feedback.record([replace(GOOD, event_id="x" * 10_000_000)])
    assert result.status == "rejected"
    assert len(result.event_id) + len(result.reason) < 500
    assert events.history("new") == []
