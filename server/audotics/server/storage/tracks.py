"""Changes to the catalogue since it was exported: records and deletions go in, the overlay comes out at a start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import RowMapping, select, text

from audotics.server.storage.database import Database
from audotics.server.storage.schema import TRACKS
from audotics.server.types import TrackRecord

_FIELDS: Final = tuple(TrackRecord.__dataclass_fields__)
_values_of: Final = attrgetter(*_FIELDS)
_CHUNK_ROWS: Final = 5000
"""Rows of one statement: enough that its cost is that of the rows, few enough that its text stays below 4 MB."""

# One JSON text a chunk, as for events: in SQLite, rows bound one by one reach a quarter of the speed. In PostgreSQL,
# json in place of jsonb halves it, since every field would read the whole row's text again.
_CASTS: Final = {
    "release_year": "integer",
    "explicit": "boolean",
    "duration_ms": "integer",
    "popularity": "float8",
}
_JSON_FIELDS: Final = ("tags", "audio")
_SET: Final = ", ".join(
    f"{name} = excluded.{name}" for name in ("deleted", *_FIELDS, "updated_at") if name != "track_id"
)


def _field(place: int, name: str, *, dialect: str) -> str:
    if name in _JSON_FIELDS:
        return f"CAST(value -> {place} AS json)" if dialect == "postgresql" else f"value -> {place}"
    if dialect == "postgresql" and name in _CASTS:
        return f"CAST(value ->> {place} AS {_CASTS[name]})"
    return f"value ->> {place}"


def _upsert(dialect: str, rows: str) -> str:
    values = ", ".join(_field(place, name, dialect=dialect) for place, name in enumerate(_FIELDS))
    return (
        f"INSERT INTO tracks ({', '.join(_FIELDS)}, deleted, updated_at) SELECT {values}, :deleted, :updated_at "
        f"FROM {rows} ON CONFLICT (track_id) DO UPDATE SET {_SET}"
    )


_WRITE: Final = {
    "sqlite": text(_upsert("sqlite", "json_each(:batch) WHERE true")),
    "postgresql": text(_upsert("postgresql", "jsonb_array_elements(CAST(:batch AS jsonb))")),
}


_KEEP_BEFORE: Final = {
    dialect: text(
        f"INSERT INTO track_history ({', '.join(_FIELDS)}, deleted, updated_at, replaced_at) "
        f"SELECT {', '.join(_FIELDS)}, deleted, updated_at, :updated_at FROM tracks WHERE track_id IN ({ids})"
    )
    for dialect, ids in (
        ("sqlite", "SELECT value ->> 0 FROM json_each(:batch)"),
        ("postgresql", "SELECT value ->> 0 FROM jsonb_array_elements(CAST(:batch AS jsonb))"),
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
        statement, keep_before = _WRITE[self._database.dialect], _KEEP_BEFORE[self._database.dialect]
        with self._database.transaction() as connection:
            for deleted, records in ((False, upserts), (True, [TrackRecord(track_id) for track_id in deletes])):
                for start in range(0, len(records), _CHUNK_ROWS):
                    chunk = records[start : start + _CHUNK_ROWS]
                    ids = json.dumps([[record.track_id] for record in chunk])
                    connection.execute(keep_before, {"batch": ids, "updated_at": updated_at})
                    batch = json.dumps([_values_of(record) for record in chunk])
                    connection.execute(statement, {"batch": batch, "deleted": deleted, "updated_at": updated_at})

    def read(self) -> Overlay:
        """Every change, by track id. Raises StorageError."""
        with self._database.reading() as connection:
            rows = connection.execute(select(TRACKS).order_by(TRACKS.c.track_id)).mappings().all()
        return Overlay(
            upserts=tuple(_record(row) for row in rows if not row["deleted"]),
            deletes=tuple(row["track_id"] for row in rows if row["deleted"]),
        )


def _record(row: RowMapping) -> TrackRecord:
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    return TrackRecord(**values | {"tags": tuple(values["tags"]), "audio": tuple(values["audio"])})
