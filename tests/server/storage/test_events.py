"""The event log: each event counts once, and what was acknowledged is on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.server.storage.database import Database
from audotics.server.storage.events import EventStore
from audotics.server.types import Event

EVENT = Event("e1", "u1", "t1", "play", 100.0)


@pytest.fixture
def events(database: Database) -> EventStore:
    return EventStore(database)


@contextmanager
def new_store() -> Iterator[EventStore]:
    with TemporaryDirectory() as folder, closing(Database.open(f"sqlite:///{folder}/state.db")) as database:
        yield EventStore(database)


def test_keeps_every_field(events: EventStore) -> None:
    rated = Event("e2", "u1", "t2", "rating", 50.5, recommendation_id="list 1", rating=4.5)
    assert events.append([EVENT, rated], received_at=200.0) == ["accepted", "accepted"]
    assert events.history("u1") == [EVENT, rated]


def test_a_known_id_is_a_duplicate_and_changes_nothing(events: EventStore) -> None:
    events.append([EVENT], received_at=200.0)
    assert events.append([replace(EVENT, track_id="t9")], received_at=300.0) == ["duplicate"]
    assert events.history("u1") == [EVENT]


def test_the_first_of_equal_ids_in_a_batch_counts(events: EventStore) -> None:
    later = replace(EVENT, track_id="t9")
    assert events.append([EVENT, later, EVENT], received_at=200.0) == ["accepted", "duplicate", "duplicate"]
    assert events.history("u1") == [EVENT]


def test_an_empty_batch_is_nothing(events: EventStore) -> None:
    assert events.append([], received_at=1.0) == []


def test_a_stranger_has_no_history(events: EventStore) -> None:
    events.append([EVENT], received_at=1.0)
    assert events.history("u2") == []


def test_users_keep_when_they_were_first_and_last_seen(events: EventStore, database_file: Path) -> None:
    events.append([EVENT, replace(EVENT, event_id="e2", occurred_at=90.0)], received_at=200.0)
    events.append([replace(EVENT, event_id="e3", occurred_at=95.0)], received_at=201.0)
    events.append([replace(EVENT, event_id="e4", occurred_at=120.0)], received_at=202.0)
    events.append([replace(EVENT, event_id="e4", occurred_at=500.0)], received_at=203.0)
    with closing(sqlite3.connect(database_file)) as connection:
        assert connection.execute("SELECT * FROM users").fetchall() == [("u1", 90.0, 120.0)]


def test_another_process_sees_acknowledged_events(events: EventStore, database_file: Path) -> None:
    events.append([EVENT], received_at=200.0)
    with closing(Database.open(f"sqlite:///{database_file}")) as other:
        assert EventStore(other).history("u1") == [EVENT]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 8), st.sampled_from("ab")), max_size=6), max_size=5))
def test_every_id_is_accepted_exactly_once(batches: list[list[tuple[int, str]]]) -> None:
    with new_store() as store:
        known: dict[str, Event] = {}
        for batch in batches:
            sent = [Event(f"e{number}", user, f"t{place}", "play", 1.0) for place, (number, user) in enumerate(batch)]
            expected = []
            for event in sent:
                expected.append("duplicate" if event.event_id in known else "accepted")
                known.setdefault(event.event_id, event)
            assert store.append(sent, received_at=1.0) == expected
        for user in "ab":
            assert store.history(user) == [event for event in known.values() if event.user_id == user]
