"""Receipts on disk: what lists were made from goes in as bytes, and comes out by the id of the list.

Tilts that were drawn for the lists are written with them, so that no decision is learned from that cannot be explained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Table, select

from audotics.server.storage.database import Database
from audotics.server.storage.decisions import StoredDecision, rows_of
from audotics.server.storage.erasures import LATE_S, erasures_of
from audotics.server.storage.exposures import StoredExposure
from audotics.server.storage.schema import DECISIONS, EXPOSURES, RECEIPTS


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

    def write(
        self,
        receipts: Sequence[StoredReceipt],
        *,
        exposures: Sequence[StoredExposure] = (),
        decisions: Sequence[StoredDecision] = (),
        after_erasures: Mapping[str, float] | None = None,
    ) -> None:
        """Store receipts, which arms made them and what was drawn, in one transaction; what is known changes nothing.

        Lists that were made before their listener was deleted, or just afterwards, leave nothing. `after_erasures` has
        the lists that are known to be later, whatever the clocks said, since the deletion of that time was known when
        they were made. Raises StorageError.
        """
        rows: dict[Table, list[dict[str, Any]]] = {
            RECEIPTS: [asdict(receipt) for receipt in receipts],
            EXPOSURES: [asdict(exposure) for exposure in exposures],
            DECISIONS: rows_of(decisions),
        }
        if not any(rows.values()):
            return
        with self._database.transaction() as connection:
            user_ids = {str(row["user_id"]) for values in rows.values() for row in values}
            erased = erasures_of(self._database, connection, user_ids)
            for table, values in rows.items():
                kept = [row for row in values if _is_later(row, erased.get(row["user_id"]), after_erasures or {})]
                if kept:
                    connection.execute(self._database.insert(table).on_conflict_do_nothing(), kept)

    def read(self, recommendation_id: str) -> StoredReceipt | None:
        """None when there is none by this id. Raises StorageError."""
        with self._database.reading() as connection:
            statement = select(RECEIPTS).where(RECEIPTS.c.recommendation_id == recommendation_id)
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else StoredReceipt(**row)


def _is_later(row: Mapping[str, Any], erased_at: float | None, after_erasures: Mapping[str, float]) -> bool:
    if erased_at is None or after_erasures.get(row["recommendation_id"]) == erased_at:
        return True
    created_at: float = row["created_at"]
    return created_at >= erased_at + LATE_S
