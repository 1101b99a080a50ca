"""The event log: feedback goes in once each, and a listener's events come out in the order they arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final, Literal

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert

from audotics.server.storage.database import Database
from audotics.server.storage.schema import EVENTS, USERS
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
)


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
        rows = [asdict(event) | {"received_at": received_at} for event in first.values()]
        statement = insert(EVENTS).on_conflict_do_nothing().returning(EVENTS.c.event_id)
        with self._database.transaction() as connection:
            stored = set(connection.scalars(statement, rows))
            if stored:
                _see_users(connection, [first[event_id] for event_id in stored])
        outcomes: list[Outcome] = []
        for event in events:
            outcomes.append("accepted" if event.event_id in stored else "duplicate")
            stored.discard(event.event_id)
        return outcomes

    def history(self, user_id: str) -> list[Event]:
        """Every event of a listener in the order of arrival; empty for a stranger. Raises StorageError."""
        statement = select(*_FIELDS).where(EVENTS.c.user_id == user_id).order_by(EVENTS.c.sequence)
        with self._database.transaction() as connection:
            return [Event(**row) for row in connection.execute(statement).mappings()]


def _see_users(connection: Connection, events: Sequence[Event]) -> None:
    times: dict[str, tuple[float, float]] = {}
    for event in events:
        first, last = times.get(event.user_id, (event.occurred_at, event.occurred_at))
        times[event.user_id] = (min(first, event.occurred_at), max(last, event.occurred_at))
    statement = insert(USERS)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[USERS.c.user_id],
            set_={
                "first_seen": func.min(USERS.c.first_seen, statement.excluded.first_seen),
                "last_seen": func.max(USERS.c.last_seen, statement.excluded.last_seen),
            },
        ),
        [{"user_id": user, "first_seen": first, "last_seen": last} for user, (first, last) in times.items()],
    )
