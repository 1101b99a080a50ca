"""Changes to the catalogue since it was exported: records and deletions go in, the overlay comes out at a start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import RowMapping, select
from sqlalchemy.dialects.sqlite import insert

from audotics.server.storage.database import Database
from audotics.server.storage.schema import TRACKS
from audotics.server.types import TrackRecord


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
        stamp = {"updated_at": updated_at}
        rows = [asdict(record) | {"deleted": False} | stamp for record in upserts]
        rows += [asdict(TrackRecord(track_id)) | {"deleted": True} | stamp for track_id in deletes]
        if not rows:
            return
        statement = insert(TRACKS)
        replaced = {column.name: column for column in statement.excluded if not column.primary_key}
        statement = statement.on_conflict_do_update(index_elements=[TRACKS.c.track_id], set_=replaced)
        with self._database.transaction() as connection:
            connection.execute(statement, rows)

    def read(self) -> Overlay:
        """Every change, in the order the tracks were first changed. Raises StorageError."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(TRACKS)).mappings().all()
        return Overlay(
            upserts=tuple(_record(row) for row in rows if not row["deleted"]),
            deletes=tuple(row["track_id"] for row in rows if row["deleted"]),
        )


def _record(row: RowMapping) -> TrackRecord:
    values: dict[str, Any] = {name: row[name] for name in TrackRecord.__dataclass_fields__}
    return TrackRecord(**values | {"tags": tuple(values["tags"]), "audio": tuple(values["audio"])})
