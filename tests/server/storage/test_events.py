"""The event log: each event counts once, whatever comes in which order. The rest is in `tests/contracts`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
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


def test_an_empty_batch_is_nothing(events: EventStore) -> None:
    assert events.append([], received_at=1.0) == []


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
