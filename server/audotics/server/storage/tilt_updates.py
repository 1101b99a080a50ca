"""Records of learning on disk: what became of a proposed policy goes in, once a number, and they come out in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import func, select

from audotics.server.storage.database import Database
from audotics.server.storage.schema import TILT_UPDATES

Outcome = Literal["published", "dropped", "reverted", "restarted"]


@dataclass(frozen=True, slots=True)
class StoredUpdate:
    """One record. `number` counts from 1 for each arm; `replaced` is the number of the policy in force before.

    `policy` is what was proposed, gone back to or begun with; `evidence` the estimates that decided, None without any.
    `hybrid` is the version of the hybrid that the policy belongs to.
    """

    arm: str
    number: int
    outcome: Outcome
    created_at: float
    replaced: int
    reason: str
    policy: Mapping[str, Any]
    evidence: Mapping[str, Any] | None
    hybrid: int = 0


class TiltUpdateStore:
    """Appends and reads the records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, record: StoredUpdate) -> bool:
        """False where another server was faster and has written a record of this number. Raises StorageError."""
        statement = self._database.insert(TILT_UPDATES).on_conflict_do_nothing().returning(TILT_UPDATES.c.number)
        with self._database.transaction() as connection:
            return connection.scalar(statement, asdict(record)) is not None

    def latest(self, arm: str, *, limit: int) -> list[StoredUpdate]:
        """The newest records first. Raises StorageError."""
        statement = select(TILT_UPDATES).where(TILT_UPDATES.c.arm == arm)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(TILT_UPDATES.c.number.desc()).limit(limit)).mappings()
            return [StoredUpdate(**row) for row in rows]

    def find(self, arm: str, number: int) -> StoredUpdate | None:
        """Raises StorageError."""
        statement = select(TILT_UPDATES).where(TILT_UPDATES.c.arm == arm, TILT_UPDATES.c.number == number)
        with self._database.reading() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else StoredUpdate(**row)

    def in_force(self) -> dict[tuple[str, int], StoredUpdate]:
        """By arm and version of the hybrid, the last record that was not dropped. Raises StorageError."""
        newest = (
            select(TILT_UPDATES.c.arm, TILT_UPDATES.c.hybrid, func.max(TILT_UPDATES.c.number).label("number"))
            .where(TILT_UPDATES.c.outcome != "dropped")
            .group_by(TILT_UPDATES.c.arm, TILT_UPDATES.c.hybrid)
            .subquery()
        )
        joined = (TILT_UPDATES.c.arm == newest.c.arm) & (TILT_UPDATES.c.number == newest.c.number)
        with self._database.reading() as connection:
            rows = connection.execute(select(TILT_UPDATES).join(newest, joined)).mappings()
            return {(row["arm"], row["hybrid"]): StoredUpdate(**row) for row in rows}
