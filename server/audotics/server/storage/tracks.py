"""Changes to the catalogue since it was exported: records and deletions go in, the overlay comes out at a start."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, text
from sqlalchemy.exc import DBAPIError

from audotics.server.storage.artists import count_tracks, lock_artists
from audotics.server.storage.database import Database
from audotics.server.storage.schema import TRACKS
from audotics.server.types import TrackRecord

_FIELDS: Final = tuple(TrackRecord.__dataclass_fields__)
_texts_of: Final = attrgetter("track_id", "title", "artist", "album")
_numbers_of: Final = attrgetter("release_year", "explicit", "duration_ms", "popularity")
_CHUNK_ROWS: Final = 5_000
"""Rows of one statement: enough that its cost is that of the rows."""

_COLUMNS: Final = f"{', '.join(_FIELDS)}, deleted, updated_at"
_REPLACE: Final = "ON CONFLICT (track_id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in ("deleted", *_FIELDS, "updated_at") if name != "track_id"
)

# SQLite is fastest with rows that its driver binds one by one, PostgreSQL with COPY into a table of the connection.
_WRITE_SQLITE: Final = f"INSERT INTO tracks ({_COLUMNS}) VALUES ({', '.join('?' * (len(_FIELDS) + 2))}) {_REPLACE}"
_TAKE_IN: Final = "CREATE TEMPORARY TABLE IF NOT EXISTS incoming_tracks (LIKE tracks) ON COMMIT DELETE ROWS"
_COPY: Final = f"COPY incoming_tracks ({_COLUMNS}) FROM STDIN"
_WRITE_POSTGRESQL: Final = f"INSERT INTO tracks ({_COLUMNS}) SELECT {_COLUMNS} FROM incoming_tracks {_REPLACE}"
_EMPTY: Final = "DELETE FROM incoming_tracks"
_KEEP: Final = (
    f"INSERT INTO track_history ({_COLUMNS}, replaced_at) SELECT {_COLUMNS}, :replaced_at FROM tracks "
    "WHERE track_id IN ({ids}) RETURNING artist, deleted"
)
_KEEP_SQLITE: Final = text(_KEEP.format(ids="SELECT value FROM json_each(:ids)"))
_KEEP_POSTGRESQL: Final = text(
    f"WITH kept AS ({_KEEP.format(ids='SELECT track_id FROM incoming_tracks')}) "
    "SELECT artist, COUNT(*) FROM kept WHERE NOT deleted GROUP BY artist"
)
"""What is about to be replaced goes into the history; of a new track there is nothing to keep."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What stands above the catalogue bundle: tracks added or replaced, and ids taken out."""

    upserts: tuple[TrackRecord, ...]
    deletes: tuple[str, ...]


class TrackStore:
    """Stores the latest change of each track, and with it how many tracks artists have."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, *, upserts: Sequence[TrackRecord] = (), deletes: Sequence[str] = (), updated_at: float) -> None:
        """Store changes in one transaction; no id may stand in it twice. Raises StorageError."""
        if not upserts and not deletes:
            return
        gone: Counter[str] = Counter()
        with self._database.transaction() as connection:
            lock_artists(connection)
            for deleted, records in ((False, upserts), (True, [TrackRecord(track_id) for track_id in deletes])):
                for start in range(0, len(records), _CHUNK_ROWS):
                    chunk = records[start : start + _CHUNK_ROWS]
                    replace = _replace_sqlite if self._database.dialect == "sqlite" else _replace_postgresql
                    rows = _rows(chunk, deleted=deleted, updated_at=updated_at)
                    gone.update(replace(connection, rows, updated_at=updated_at))
            come = Counter(record.artist for record in upserts)
            count_tracks(connection, gone=gone, come=come, at=updated_at)

    def read(self) -> Overlay:
        """Every change, by track id. Raises StorageError."""
        with self._database.reading() as connection:
            rows = connection.execute(select(TRACKS).order_by(TRACKS.c.track_id)).mappings().all()
        return Overlay(
            upserts=tuple(_record(row) for row in rows if not row["deleted"]),
            deletes=tuple(row["track_id"] for row in rows if row["deleted"]),
        )


def _rows(records: Sequence[TrackRecord], *, deleted: bool, updated_at: float) -> list[tuple[Any, ...]]:
    """In the order of the columns; lists are JSON texts."""
    ends = deleted, updated_at
    return [
        (*_texts_of(record), json.dumps(record.tags), *_numbers_of(record), json.dumps(record.audio), *ends)
        for record in records
    ]


def _replace_sqlite(connection: Connection, rows: list[tuple[Any, ...]], *, updated_at: float) -> Counter[str]:
    """The artists of the tracks that are replaced, with how many these are."""
    ids = json.dumps([row[0] for row in rows])
    kept = connection.execute(_KEEP_SQLITE, {"ids": ids, "replaced_at": updated_at}).all()
    connection.exec_driver_sql(_WRITE_SQLITE, rows)
    return Counter(artist for artist, deleted in kept if not deleted)


def _replace_postgresql(connection: Connection, rows: list[tuple[Any, ...]], *, updated_at: float) -> Counter[str]:
    """As `_replace_sqlite`."""
    connection.exec_driver_sql(_TAKE_IN)
    driver: Any = connection.connection.driver_connection
    driver_error = connection.dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)
    except driver_error as error:  # SQLAlchemy knows nothing of COPY, and lets the driver's errors through
        raise DBAPIError.instance(_COPY, None, error, driver_error, dialect=connection.dialect) from error
    kept = connection.execute(_KEEP_POSTGRESQL, {"replaced_at": updated_at}).all()
    connection.exec_driver_sql(_WRITE_POSTGRESQL)
    connection.exec_driver_sql(_EMPTY)
    return Counter({row[0]: row[1] for row in kept})


def _record(row: RowMapping) -> TrackRecord:
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    return TrackRecord(**values | {"tags": tuple(values["tags"]), "audio": tuple(values["audio"])})
