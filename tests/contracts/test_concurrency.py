"""Servers that share a database and work at the same time: nobody waits in a circle, and who is deleted stays so."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from audotics.server.storage.database import Database
from audotics.server.storage.decisions import StoredDecision
from audotics.server.storage.erasures import LATE_S, erasures_of
from audotics.server.storage.events import EventStore
from audotics.server.storage.exposures import StoredExposure
from audotics.server.storage.receipts import ReceiptStore, StoredReceipt
from audotics.server.storage.schema import DECISIONS, EVENTS, EXPOSURES, RECEIPTS
from audotics.server.storage.users import UserStore
from audotics.server.types import Event
from tests.postgres import Postgres

Connect = Callable[[], Database]


def written(database: Database, user_id: str, *, at: float) -> None:
    """A list with everything that is kept of one."""
    name = f"{user_id} {at}"
    ReceiptStore(database).write(
        [StoredReceipt(name, user_id, at, b"history")],
        exposures=[StoredExposure(name, "x", "a", 0.5, user_id, at, 3, "", 0.5)],
        decisions=[StoredDecision(name, user_id, at, "", "new", "more ncf", 0.5, 0)],
    )


def lists(database: Database) -> list[set[str]]:
    """The ids of lists of each kind of record."""
    with database.reading() as connection:
        return [
            set(connection.scalars(select(table.c.recommendation_id))) for table in (RECEIPTS, EXPOSURES, DECISIONS)
        ]


def test_lists_under_way_elsewhere_leave_nothing_of_who_was_deleted(connect: Connect) -> None:
    here, there = connect(), connect()
    written(there, "ana", at=100.0)
    UserStore(here).erase("ana", erased_at=200.0)
    written(there, "ana", at=199.9)
    written(there, "ana", at=200.0 + LATE_S - 0.1)
    for user_id in ("ben", ""):
        written(there, user_id, at=199.9)
    assert lists(here) == [{"ben 199.9", " 199.9"}] * 3
    written(there, "ana", at=200.0 + LATE_S)  # somebody who has come back
    assert lists(here) == [{"ben 199.9", " 199.9", f"ana {200.0 + LATE_S}"}] * 3


@pytest.fixture
def pair(postgres: Postgres) -> Connect:
    url = postgres.empty()
    return lambda: Database.open(url)


def until_waiting(database: Database, work: Future[Any]) -> None:
    """Until `work` waits for a lock, or needs none."""
    while not work.done():
        with database.reading() as connection:
            if connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                return


def test_events_in_another_order_lock_nobody_out(pair: Connect) -> None:
    here, there = pair(), pair()
    row = {"track_id": "t", "type": "play", "occurred_at": 1.0, "received_at": 1.0, "recommendation_id": ""}
    with ThreadPoolExecutor(1) as thread:
        with here.transaction() as connection:
            connection.execute(insert(EVENTS).values(event_id="a", user_id="u", **row))
            events = [Event(event_id, "u", "t", "play", 1.0) for event_id in ("b", "c", "a")]
            appending = thread.submit(EventStore(there).append, events, received_at=2.0)
            until_waiting(here, appending)
            connection.execute(insert(EVENTS).values(event_id="b", user_id="u", **row))
        assert appending.result() == ["duplicate", "accepted", "duplicate"]
    here.close()
    there.close()


def test_events_are_numbered_as_they_arrived(connect: Connect) -> None:
    events = [Event(event_id, "u", "t", "play", 1.0) for event_id in ("b", "Z", "é", "a", "_")]
    store = EventStore(connect())
    store.append(events, received_at=2.0)
    assert store.history("u") == events


def test_who_deletes_waits_for_lists_that_are_being_written(pair: Connect) -> None:
    here, there = pair(), pair()
    with ThreadPoolExecutor(1) as thread:
        with there.transaction() as connection:
            assert erasures_of(there, connection, ["ana"]) == {}
            deleting = thread.submit(UserStore(here).erase, "ana", erased_at=200.0)
            until_waiting(there, deleting)
            values = {"recommendation_id": "r", "user_id": "ana", "created_at": 199.0, "content": b"history"}
            connection.execute(insert(RECEIPTS), values)
        assert (deleting.result().receipts, deleting.result().remaining) == (1, 0)
    assert lists(here)[0] == set()
    here.close()
    there.close()


def test_who_comes_back_after_a_clock_was_set_back_is_written_of_again(connect: Connect) -> None:
    """The deletion was noted by a clock that was ahead; it is known by its time to who read the listener since."""
    database = connect()
    store, users = ReceiptStore(database), UserStore(database)

    def lists_made(name: str, *, after: float | None) -> None:
        store.write(
            [StoredReceipt(name, "ana", 100.0, b"history")],
            exposures=[StoredExposure(name, "x", "a", 0.5, "ana", 100.0, 3, "", 0.5)],
            decisions=[StoredDecision(name, "ana", 100.0, "", "new", "more ncf", 0.5, 0)],
            after_erasures={} if after is None else {name: after},
        )

    assert users.read("ana").erased_at is None
    lists_made("before", after=None)
    users.erase("ana", erased_at=90_000.0)
    lists_made("under way", after=None)
    known = users.read("ana").erased_at
    assert known == 90_000.0
    lists_made("later", after=known)
    assert lists(database) == [{"later"}] * 3
    users.erase("ana", erased_at=101.25)  # again, after the clock was set back
    lists_made("under way again", after=known)
    assert lists(database) == [set()] * 3
    lists_made("later still", after=users.read("ana").erased_at)
    assert lists(database) == [{"later still"}] * 3
