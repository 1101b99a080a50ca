"""Artists of written tracks: tracks that come and go go in, counted; artists and their followers come out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select, text

from audotics.server.storage.database import Database
from audotics.server.storage.schema import ARTISTS, FOLLOWS

_COLUMNS: Final = "artist_key, name, track_count, first_added_at, changed_at"
_ADD: Final = (
    "ON CONFLICT (artist_key) DO UPDATE SET track_count = artists.track_count + excluded.track_count, "
    "changed_at = excluded.changed_at"
)

# One statement with one JSON text for all: rows bound one by one take longer in both databases.
_COUNT: Final = {
    "sqlite": text(
        f"INSERT INTO artists ({_COLUMNS}) SELECT value ->> 0, value ->> 1, value ->> 2, :at, :at "
        f"FROM json_each(:batch) WHERE true {_ADD}"
    ),
    "postgresql": text(
        f"INSERT INTO artists ({_COLUMNS}) SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS integer), :at, :at "
        f"FROM jsonb_array_elements(CAST(:batch AS jsonb)) {_ADD}"
    ),
}
_FORGET: Final = {
    dialect: text(f"DELETE FROM artists WHERE track_count <= 0 AND artist_key IN (SELECT {keys})")
    for dialect, keys in (
        ("sqlite", "value FROM json_each(:keys)"),
        ("postgresql", "jsonb_array_elements_text(CAST(:keys AS jsonb))"),
    )
}
_FOLLOWERS: Final = {
    dialect: text(
        f"SELECT named.value ->> 0, COUNT(DISTINCT events.user_id) FROM {pairs} "
        f"JOIN events ON events.track_id = named.value ->> 1 WHERE events.{FOLLOWS} GROUP BY 1"
    )
    for dialect, pairs in (
        ("sqlite", "json_each(:pairs) AS named"),
        ("postgresql", "jsonb_array_elements(CAST(:pairs AS jsonb)) AS named (value)"),
    )
}


@dataclass(frozen=True, slots=True)
class StoredArtist:
    """`track_count` written tracks are not deleted; times, in UTC seconds, are of the first and the latest change."""

    track_count: int
    first_added_at: float
    changed_at: float


class ArtistStore:
    """Reads what is stored of artists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, names: Iterable[str]) -> dict[str, StoredArtist]:
        """Those of the artists that have written tracks, by name. Raises StorageError."""
        table = ARTISTS.c
        statement = select(table.name, table.track_count, table.first_added_at, table.changed_at)
        with self._database.reading() as connection:
            rows = connection.execute(statement.where(table.artist_key.in_([artist_key(name) for name in names])))
            return {name: StoredArtist(*values) for name, *values in rows}

    def followers(self, tracks: Sequence[Sequence[str]]) -> list[int]:
        """How many listeners followed an artist at any of their tracks, for the tracks of each artist.

        Raises StorageError.
        """
        # No event names a track with a NUL in its id, and PostgreSQL's JSON knows no NUL.
        pairs = json.dumps([(place, each) for place, ids in enumerate(tracks) for each in ids if "\0" not in each])
        with self._database.reading() as connection:
            rows = connection.execute(_FOLLOWERS[self._database.dialect], {"pairs": pairs})
            found = {int(row[0]): int(row[1]) for row in rows}
        return [found.get(place, 0) for place in range(len(tracks))]


def artist_key(name: str) -> str:
    """What stands for an artist in the table: a hash of the name."""
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def lock_artists(connection: Connection) -> None:
    """Let only this transaction write tracks: two at once would each count a track that changes hands."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(text("LOCK TABLE artists IN SHARE ROW EXCLUSIVE MODE"))


def count_tracks(connection: Connection, *, gone: Mapping[str, int], come: Mapping[str, int], at: float) -> None:
    """Take note of how many tracks artists have lost and got, in the transaction that writes them."""
    changes = Counter(come)
    changes.subtract(gone)
    changes.pop("", None)
    dialect = connection.dialect.name
    if changes:
        batch = json.dumps([(artist_key(name), name, count) for name, count in changes.items()])
        connection.execute(_COUNT[dialect], {"batch": batch, "at": at})
    if fewer := [artist_key(name) for name, count in changes.items() if count < 0]:
        connection.execute(_FORGET[dialect], {"keys": json.dumps(fewer)})
