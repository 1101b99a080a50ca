"""All that is stored of one listener: an id goes in, events, preferences and erasure come out; and it can be erased."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select

from audotics.server.storage.database import Database
from audotics.server.storage.erasures import hash_of, note_erasure
from audotics.server.storage.events import events_of
from audotics.server.storage.schema import (
    DECISIONS,
    ERASURES,
    EVENTS,
    EXPERIMENT_OVERRIDES,
    EXPOSURES,
    PREFERENCES,
    RECEIPTS,
    SESSION_LOG,
    SESSION_MEMBERS,
    SESSION_VOTES,
    USERS,
)
from audotics.server.types import Event, Preferences

_OF_USER: Final = {
    "decisions": DECISIONS,
    "events": EVENTS,
    "experiment_overrides": EXPERIMENT_OVERRIDES,
    "exposures": EXPOSURES,
    "preferences": PREFERENCES,
    "receipts": RECEIPTS,
    "memberships": SESSION_MEMBERS,
    "session_entries": SESSION_LOG,
    "votes": SESSION_VOTES,
    "users": USERS,
}
"""Every table that names listeners. The test of erasure fails when a table with a `user_id` is missing here."""


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A listener at one moment.

    `erased_at` says when they were last deleted, if they ever were: then what bundles hold of them must not count.
    """

    events: tuple[Event, ...] = ()
    preferences: Preferences | None = None
    erased_at: float | None = None

    @property
    def erased(self) -> bool:
        return self.erased_at is not None


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each kind were deleted; `remaining` is what a count found of the listener afterwards."""

    events: int
    receipts: int
    preferences: int
    remaining: int
    memberships: int = 0
    votes: int = 0
    session_entries: int = 0


class UserStore:
    """Reads, changes and erases what is stored of a listener."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, user_id: str) -> StoredUser:
        """Everything at one moment; nothing for a stranger. Raises StorageError."""
        with self._database.reading() as connection:
            erased_at = connection.scalar(select(ERASURES.c.erased_at).where(ERASURES.c.user_hash == hash_of(user_id)))
            return StoredUser(events_of(connection, user_id), _preferences(connection, user_id), erased_at)

    def erased_among(self, user_ids: Iterable[str]) -> set[str]:
        """Those of the listeners who were deleted once. Raises StorageError."""
        with self._database.reading() as connection:
            hashes = set(connection.scalars(select(ERASURES.c.user_hash)))
        return {user_id for user_id in user_ids if hash_of(user_id) in hashes} if hashes else set()

    def preferences(self, user_id: str) -> Preferences:
        """What the listener said; nothing for a stranger. Raises StorageError."""
        with self._database.reading() as connection:
            return _preferences(connection, user_id) or Preferences()

    def change_preferences(
        self, user_id: str, change: Callable[[Preferences], Preferences], *, updated_at: float
    ) -> Preferences:
        """Store what `change` makes of the preferences, and return it. Raises StorageError."""
        with self._database.transaction() as connection:
            changed = change(_preferences(connection, user_id, lock=True) or Preferences())
            row = {"user_id": user_id, "value": asdict(changed), "updated_at": updated_at}
            statement = self._database.insert(PREFERENCES)
            replaced = {name: statement.excluded[name] for name in ("value", "updated_at")}
            connection.execute(
                statement.on_conflict_do_update(index_elements=[PREFERENCES.c.user_id], set_=replaced), row
            )
        return changed

    def erase(self, user_id: str, *, erased_at: float) -> Erased:
        """Delete every row that names the listener, and remember only a hash of the id. Raises StorageError."""
        with self._database.transaction() as connection:
            note_erasure(self._database, connection, user_id, erased_at=erased_at)
            deleted = {
                name: connection.execute(delete(table).where(table.c.user_id == user_id)).rowcount
                for name, table in _OF_USER.items()
            }
            counts = [select(func.count()).where(table.c.user_id == user_id) for table in _OF_USER.values()]
            remaining = sum(connection.scalar(count) or 0 for count in counts)
        self._database.compact()
        counted = {field.name: deleted[field.name] for field in fields(Erased) if field.name != "remaining"}
        return Erased(**counted, remaining=remaining)


def _preferences(connection: Connection, user_id: str, *, lock: bool = False) -> Preferences | None:
    statement = select(PREFERENCES.c.value).where(PREFERENCES.c.user_id == user_id)
    value: dict[str, Any] | None = connection.scalar(statement.with_for_update() if lock else statement)
    if value is None:
        return None
    return Preferences(**{field.name: tuple(value.get(field.name, ())) for field in fields(Preferences)})
