"""Records of what happened to models: they go in, once each, and come out the newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import not_, or_, select, tuple_

from audotics.bundle.tenants import SEPARATOR, qualified
from audotics.server.storage.database import Database
from audotics.server.storage.schema import MODEL_RECORDS

Place = tuple[float, int]
"""Where a record stands among all: its time, and its number among those of that time."""


@dataclass(frozen=True, slots=True)
class StoredModelRecord:
    """One record. `at` is in UTC seconds; `replaced` is 0 and texts are empty where there is nothing to say.

    `record_id` is one for ever: a record that is written again, since nobody knew whether it was, stands once.
    """

    record_id: str
    at: float
    server: str
    event: str
    model: str
    version: int
    replaced: int
    label: str
    origin: str
    caller: str
    reason: str
    digest: str


class ModelRecordStore:
    """Appends and reads the records. What is older than its period is deleted by `RetentionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, records: Sequence[StoredModelRecord]) -> None:
        """Store the records that are not there yet, in their order. Raises StorageError."""
        if not records:
            return
        with self._database.transaction() as connection:
            statement = self._database.insert(MODEL_RECORDS).on_conflict_do_nothing()
            connection.execute(statement, [asdict(record) for record in records])

    def latest(
        self,
        *,
        limit: int,
        model: str = "",
        tenant: str = "",
        before: float | None = None,
        after: Place | None = None,
    ) -> tuple[list[StoredModelRecord], Place | None]:
        """Up to `limit` records, the newest first, and where the next ones begin; None when there are no more.

        `model` and `before`, UTC seconds, choose among them; a `tenant` leaves out the models of all others. `after` is
        where an earlier call ended.

        Raises StorageError.
        """
        table = MODEL_RECORDS.c
        statement = select(MODEL_RECORDS).order_by(table.at.desc(), table.sequence.desc()).limit(limit + 1)
        if model:
            statement = statement.where(table.model == model)
        if tenant:
            own = table.model.startswith(qualified(tenant, ""), autoescape=True)
            statement = statement.where(or_(own, not_(table.model.contains(SEPARATOR))))
        if before is not None:
            statement = statement.where(table.at < before)
        if after is not None:
            statement = statement.where(tuple_(table.at, table.sequence) < after)
        with self._database.reading() as connection:
            rows = connection.execute(statement).mappings().all()
        names = StoredModelRecord.__dataclass_fields__
        records = [StoredModelRecord(**{name: row[name] for name in names}) for row in rows[:limit]]
        more = len(rows) > limit
        return records, (rows[limit - 1]["at"], rows[limit - 1]["sequence"]) if more else None
