"""Retention: what is older than its period goes, in the database and in memory; the rest stays."""

from __future__ import annotations

import pytest

from audotics.server.repository.registry import Registry
from audotics.server.services.event_log import EventLog
from audotics.server.services.listeners import Listeners
from audotics.server.services.retention import Periods, Retention, Swept
from audotics.server.storage.database import Database
from audotics.server.storage.events import EventStore
from audotics.server.storage.retention import RetentionStore
from audotics.server.storage.sessions import SessionStore, StoredMember, StoredSession
from audotics.server.types import Event, Subject

DAY_S = 86_400.0
NOW = 100 * DAY_S


@pytest.fixture
def store(database: Database) -> RetentionStore:
    return RetentionStore(database)


def play(number: int) -> Event:
    return Event(f"e{number}", "u", f"t{number % 100:03d}", "play", float(number))


async def test_old_events_go_and_the_next_list_knows(
    store: RetentionStore, log: EventLog, listeners: Listeners, events: EventStore, registry: Registry
) -> None:
    events.append([play(number) for number in range(2500)], received_at=NOW - 31 * DAY_S)
    events.append([play(2501)], received_at=NOW - 29 * DAY_S)
    catalog, subject = registry.snapshot.catalog, Subject("user", user_id="u")
    await listeners.resolve(subject, catalog)
    retention = Retention(store, periods=Periods(event_days=30), log=log, listeners=listeners, now=lambda: NOW)
    assert await retention.sweep() == Swept(events=2500)
    assert await retention.sweep() == Swept()
    listener, _ = await listeners.resolve(subject, catalog)
    assert list(catalog.columns.ids[listener.history]) == ["t001"]


async def test_without_a_period_everything_is_kept(
    store: RetentionStore, log: EventLog, listeners: Listeners, events: EventStore
) -> None:
    events.append([play(1)], received_at=0.0)
    async with Retention(store, periods=Periods(), log=log, listeners=listeners, now=lambda: NOW) as retention:
        assert await retention.sweep() == Swept()
    assert len(events.history("u")) == 1


async def test_sessions_that_nothing_happens_in_go_and_their_ids_are_free(
    store: RetentionStore, log: EventLog, listeners: Listeners, database: Database
) -> None:
    sessions = SessionStore(database)
    for number, day in enumerate((60, 69, 71)):
        member = StoredMember("u", 1.0, day * DAY_S)
        assert sessions.create(StoredSession(f"s-{number}", "average", 0.0, day * DAY_S, members=(member,)))
    sessions.change("s-0", lambda change: change.play("t001", started_at=80 * DAY_S))
    periods = Periods(session_days=30)
    retention = Retention(store, periods=periods, log=log, listeners=listeners, now=lambda: NOW)
    assert await retention.sweep() == Swept(sessions=1)
    assert sessions.read("s-0") is not None
    assert sessions.read("s-1") is None
    assert sessions.read("s-2") is not None
    assert await retention.sweep() == Swept()
    assert sessions.create(StoredSession("s-1", "average", 0.0, NOW))


async def test_it_sweeps_on_its_own_and_goes_on_after_a_failure(
    store: RetentionStore, log: EventLog, listeners: Listeners, events: EventStore, database: Database
) -> None:
    events.append([play(1)], received_at=0.0)
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE events RENAME TO elsewhere")
    periods = Periods(event_days=1)
    async with Retention(store, periods=periods, log=log, listeners=listeners, interval_s=0.001, now=lambda: NOW):
        await log.in_turn(lambda: None)
        with database.transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO events")
        for _ in range(10_000):
            if not await log.in_turn(lambda: events.history("u")):
                return
        pytest.fail("the old event is still there")
