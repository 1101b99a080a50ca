"""Receipts on disk: what lists were made from goes in as bytes, and comes out by the id of the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select

from audotics.server.storage.database import Database
from audotics.server.storage.exposures import StoredExposure
from audotics.server.storage.schema import EXPOSURES, RECEIPTS


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """One row. `user_id` is empty for anonymous subjects; `created_at` is in UTC seconds."""

    recommendation_id: str
    user_id: str
    created_at: float
    content: bytes


class ReceiptStore:
    """Stores receipts, each once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, receipts: Sequence[StoredReceipt], *, exposures: Sequence[StoredExposure] = ()) -> None:
        """Store receipts, and which arms made them, in one transaction; what is known changes nothing.

        Raises StorageError.
        """
        rows = [(table, values) for table, values in ((RECEIPTS, receipts), (EXPOSURES, exposures)) if values]
        if not rows:
            return
        with self._database.transaction() as connection:
            for table, values in rows:
                statement = self._database.insert(table).on_conflict_do_nothing()
                connection.execute(statement, [asdict(value) for value in values])

    def read(self, recommendation_id: str) -> StoredReceipt | None:
        """None when there is none by this id. Raises StorageError."""
        with self._database.reading() as connection:
            statement = select(RECEIPTS).where(RECEIPTS.c.recommendation_id == recommendation_id)
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else StoredReceipt(**row)
