"""Changes to the catalogue since it was exported: records and deletions go in, the overlay comes out at a start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, text

from audotics.server.storage.database import Database
from audotics.server.storage.schema import TRACKS
from audotics.server.types import TrackRecord

_FIELDS: Final = tuple(TrackRecord.__dataclass_fields__)
_values_of: Final = attrgetter(*_FIELDS)
_texts_of: Final = attrgetter("track_id", "title", "artist", "album")
_numbers_of: Final = attrgetter("release_year", "explicit", "duration_ms", "popularity")
_CHUNK_ROWS: Final = 5000
"""Rows of one statement: enough that its cost is that of the rows, few enough that its text stays below 4 MB."""

_COLUMNS: Final = f"{', '.join(_FIELDS)}, deleted, updated_at"
_REPLACE: Final = "ON CONFLICT (track_id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in ("deleted", *_FIELDS, "updated_at") if name != "track_id"
)

# SQLite is fastest with rows that its driver binds one by one, PostgreSQL with one JSON text a chunk, as for events.
# There, json in place of jsonb halves the speed, since every field would read the whole row's text again.
_WRITE_SQLITE: Final = f"INSERT INTO tracks ({_COLUMNS}) VALUES ({', '.join('?' * (len(_FIELDS) + 2))}) {_REPLACE}"
_TYPES: Final = {
    "tags": "json",
    "release_year": "integer",
    "explicit": "boolean",
    "duration_ms": "integer",
    "popularity": "float8",
    "audio": "json",
}
_VALUES: Final = ", ".join(
    f"CAST(value ->> {place} AS {_TYPES.get(name, 'text')})" for place, name in enumerate(_FIELDS)
)
_WRITE_POSTGRESQL: Final = text(
    f"INSERT INTO tracks ({_COLUMNS}) SELECT {_VALUES}, :deleted, :updated_at "
    f"FROM jsonb_array_elements(CAST(:batch AS jsonb)) {_REPLACE}"
)
_KEEP_BEFORE: Final = {
    dialect: text(
        f"INSERT INTO track_history ({_COLUMNS}, replaced_at) SELECT {_COLUMNS}, :replaced_at FROM tracks "
        f"WHERE track_id IN ({ids})"
    )
    for dialect, ids in (
        ("sqlite", "SELECT value FROM json_each(:ids)"),
        ("postgresql", "SELECT jsonb_array_elements_text(CAST(:ids AS jsonb))"),
    )
}
"""What is about to be replaced goes into the history; of a new track there is nothing to keep."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What stands above the catalogue bundle: tracks added or replaced, and ids taken out."""

    upserts: tuple[TrackRecord, ...]
    deletes: tuple[str, ...]


class TrackStore:
    """Stores the latest change of each track."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, *, upserts: Sequence[TrackRecord] = (), deletes: Sequence[str] = (), updated_at: float) -> None:
        """Store changes in one transaction; no id may stand in it twice. Raises StorageError."""
        if not upserts and not deletes:
            return
        with self._database.transaction() as connection:
            for deleted, records in ((False, upserts), (True, [TrackRecord(track_id) for track_id in deletes])):
                for start in range(0, len(records), _CHUNK_ROWS):
                    chunk = records[start : start + _CHUNK_ROWS]
                    ids = json.dumps([record.track_id for record in chunk])
                    connection.execute(_KEEP_BEFORE[self._database.dialect], {"ids": ids, "replaced_at": updated_at})
                    self._replace(connection, chunk, deleted=deleted, updated_at=updated_at)

    def read(self) -> Overlay:
        """Every change, by track id. Raises StorageError."""
        with self._database.reading() as connection:
            rows = connection.execute(select(TRACKS).order_by(TRACKS.c.track_id)).mappings().all()
        return Overlay(
            upserts=tuple(_record(row) for row in rows if not row["deleted"]),
            deletes=tuple(row["track_id"] for row in rows if row["deleted"]),
        )

    def _replace(
        self, connection: Connection, records: Sequence[TrackRecord], *, deleted: bool, updated_at: float
    ) -> None:
        if self._database.dialect == "sqlite":
            rows = [
                (*_texts_of(record), json.dumps(record.tags), *_numbers_of(record), json.dumps(record.audio), *ends)
                for ends in ((deleted, updated_at),)
                for record in records
            ]
            connection.exec_driver_sql(_WRITE_SQLITE, rows)
            return
        batch = json.dumps([_values_of(record) for record in records])
        values = {"batch": batch, "deleted": deleted, "updated_at": updated_at}
        connection.execute(_WRITE_POSTGRESQL, values)


def _record(row: RowMapping) -> TrackRecord:
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    return TrackRecord(**values | {"tags": tuple(values["tags"]), "audio": tuple(values["audio"])})
