"""The event log: feedback goes in once each, and a listener's events come out in the order they arrived."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final, Literal

from sqlalchemy import Connection, TextClause, select, text

from audotics.server.storage.database import Database
from audotics.server.storage.schema import EVENTS
from audotics.server.types import Event

Outcome = Literal["accepted", "duplicate"]

_FIELDS: Final = (
    EVENTS.c.event_id,
    EVENTS.c.user_id,
    EVENTS.c.track_id,
    EVENTS.c.type,
    EVENTS.c.occurred_at,
    EVENTS.c.recommendation_id,
    EVENTS.c.rating,
    EVENTS.c.utc_offset_minutes,
)
_READ_ROWS: Final = 10_000
_values_of: Final = attrgetter(
    *("event_id", "user_id", "track_id", "type", "occurred_at", "recommendation_id", "rating", "utc_offset_minutes")
)

# One statement with one JSON text a batch: rows bound one by one take three times as long in both databases.
_COLUMNS: Final = (
    "event_id, user_id, track_id, type, occurred_at, received_at, recommendation_id, rating, utc_offset_minutes"
)
_APPEND: Final = {
    "sqlite": text(
        f"INSERT INTO events ({_COLUMNS}) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, "
        ":received_at, value ->> 5, value ->> 6, value ->> 7 FROM json_each(:batch) WHERE true ORDER BY key "
        "ON CONFLICT DO NOTHING RETURNING event_id"
    ),
    # Numbered as they arrived, but stored by id: servers that are sent the same events in another order lock them in
    # the same one, and do not wait for each other in a circle.
    "postgresql": text(
        f"INSERT INTO events (sequence, {_COLUMNS}) "
        "SELECT sequence, value ->> 0, value ->> 1, value ->> 2, value ->> 3, "
        "CAST(value ->> 4 AS float8), :received_at, value ->> 5, CAST(value ->> 6 AS float8), "
        "CAST(value ->> 7 AS integer) "
        "FROM (SELECT nextval(pg_get_serial_sequence('events', 'sequence')) AS sequence, value "
        "FROM (SELECT value FROM jsonb_array_elements(CAST(:batch AS jsonb)) WITH ORDINALITY AS sent (value, place) "
        'ORDER BY place) AS ordered) AS numbered ORDER BY (value ->> 0) COLLATE "C" '
        "ON CONFLICT DO NOTHING RETURNING event_id"
    ),
}


def _seeing(rows: str, *, least: str, most: str) -> TextClause:
    # By id, so that servers that see the same listeners lock their rows in the same order.
    return text(
        f"INSERT INTO users (user_id, first_seen, last_seen) {rows} ORDER BY 1 ON CONFLICT (user_id) DO UPDATE SET "
        f"first_seen = {least}(users.first_seen, excluded.first_seen), "
        f"last_seen = {most}(users.last_seen, excluded.last_seen)"
    )


_SEE_USERS: Final = {
    "sqlite": _seeing(
        "SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:batch) WHERE true", least="min", most="max"
    ),
    "postgresql": _seeing(
        "SELECT value ->> 0, CAST(value ->> 1 AS float8), CAST(value ->> 2 AS float8) "
        "FROM jsonb_array_elements(CAST(:batch AS jsonb))",
        least="least",
        most="greatest",
    ),
}


class EventStore:
    """Stores events and the times their listeners were first and last seen."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, events: Sequence[Event], *, received_at: float) -> list[Outcome]:
        """Store the events that are new by `event_id`, in one transaction; say for each, in order, which it was.

        Of events with the same id the first one counts. `received_at` is in UTC seconds. Raises StorageError.
        """
        if not events:
            return []
        first: dict[str, Event] = {}
        for event in events:
            first.setdefault(event.event_id, event)
        batch = json.dumps([_values_of(event) for event in first.values()])
        dialect = self._database.dialect
        with self._database.transaction() as connection:
            stored = set(connection.scalars(_APPEND[dialect], {"batch": batch, "received_at": received_at}))
            if stored:
                seen = _times(event for event in first.values() if event.event_id in stored)
                connection.execute(_SEE_USERS[dialect], {"batch": seen})
        if len(stored) == len(events):
            return ["accepted"] * len(events)
        outcomes: list[Outcome] = []
        for event in events:
            outcomes.append("accepted" if event.event_id in stored else "duplicate")
            stored.discard(event.event_id)
        return outcomes

    def history(self, user_id: str) -> list[Event]:
        """Every event of a listener in the order of arrival; empty for a stranger. Raises StorageError."""
        with self._database.reading() as connection:
            return list(events_of(connection, user_id))

    def by_listener(self) -> Iterator[tuple[str, list[Event]]]:
        """Every listener with all their events in the order of arrival, at one moment. Raises StorageError."""
        statement = select(*_FIELDS).order_by(EVENTS.c.user_id, EVENTS.c.sequence)
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=_READ_ROWS).execute(statement)
            for user_id, of_user in groupby((Event(*row) for row in rows), key=attrgetter("user_id")):
                yield user_id, list(of_user)


def events_of(connection: Connection, user_id: str) -> tuple[Event, ...]:
    """Every event of a listener in the order of arrival."""
    statement = select(*_FIELDS).where(EVENTS.c.user_id == user_id).order_by(EVENTS.c.sequence)
    return tuple(Event(*row) for row in connection.execute(statement))


def _times(events: Iterable[Event]) -> str:
    """Listeners with the times of the first and the last of their events, as JSON."""
    times: dict[str, tuple[float, float]] = {}
    for event in events:
        first, last = times.get(event.user_id, (event.occurred_at, event.occurred_at))
        times[event.user_id] = (min(first, event.occurred_at), max(last, event.occurred_at))
    return json.dumps([(user_id, *both) for user_id, both in times.items()])
