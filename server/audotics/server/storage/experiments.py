"""Experiments on disk: one after the other they are changed, each with a record of what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, text

from audotics.server.storage.database import Database
from audotics.server.storage.schema import EXPERIMENT_OVERRIDES, EXPERIMENT_RECORDS, EXPERIMENTS

_LOCK: Final = 0x41756475
"""Number of the lock that lets one server at a time change experiments in a PostgreSQL database."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """Something that happened to an experiment, at UTC seconds."""

    at: float
    event: str
    arm: str
    detail: str


@dataclass(frozen=True, slots=True)
class StoredExperiment:
    """One experiment. `plan` and `slots` are as JSON has them; `overrides` are pairs of a user id and an arm."""

    name: str
    plan: dict[str, Any]
    salt: str
    slots: list[list[int]]
    state: str
    created_at: float
    stopped_at: float | None
    overrides: tuple[tuple[str, str], ...]
    records: tuple[StoredRecord, ...]


class ExperimentStore:
    """Reads and changes experiments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> list[StoredExperiment]:
        """All of them, the newest first. Raises StorageError."""
        with self._database.reading() as connection:
            return _read(connection)

    def change(self, decide: Callable[[Sequence[StoredExperiment]], StoredExperiment | None]) -> None:
        """Write what `decide` makes of one of all experiments, or of a new one; None changes nothing.

        Nobody else changes experiments meanwhile. What `decide` raises leaves all as it was. Records may only be added,
        and overrides count when an experiment is new. Raises StorageError.
        """
        with self._database.transaction() as connection:
            if self._database.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            before = {experiment.name: experiment for experiment in _read(connection)}
            after = decide(list(before.values()))
            if after is None:
                return
            known = before.get(after.name)
            if known is None:
                connection.execute(insert(EXPERIMENTS), _row(after))
                if after.overrides:
                    pairs = [{"experiment": after.name, "user_id": user, "arm": arm} for user, arm in after.overrides]
                    connection.execute(insert(EXPERIMENT_OVERRIDES), pairs)
            else:
                connection.execute(EXPERIMENTS.update().where(EXPERIMENTS.c.name == after.name), _row(after))
            fresh = after.records[len(known.records) if known is not None else 0 :]
            if fresh:
                rows = [
                    {"experiment": after.name, "at": r.at, "event": r.event, "arm": r.arm, "detail": r.detail}
                    for r in fresh
                ]
                connection.execute(insert(EXPERIMENT_RECORDS), rows)
            if after.state != "running":  # its overrides say who tried it, and are of no use any more
                connection.execute(delete(EXPERIMENT_OVERRIDES).where(EXPERIMENT_OVERRIDES.c.experiment == after.name))


def _row(experiment: StoredExperiment) -> dict[str, Any]:
    return {column.name: getattr(experiment, column.name) for column in EXPERIMENTS.columns}


def _read(connection: Connection) -> list[StoredExperiment]:
    overrides: dict[str, list[tuple[str, str]]] = {}
    table = EXPERIMENT_OVERRIDES.c
    for name, *pair in connection.execute(select(table.experiment, table.user_id, table.arm).order_by(table.user_id)):
        overrides.setdefault(name, []).append((pair[0], pair[1]))
    records: dict[str, list[StoredRecord]] = {}
    record = EXPERIMENT_RECORDS.c
    statement = select(record.experiment, record.at, record.event, record.arm, record.detail).order_by(record.sequence)
    for name, *values in connection.execute(statement):
        records.setdefault(name, []).append(StoredRecord(*values))
    rows = connection.execute(select(EXPERIMENTS).order_by(EXPERIMENTS.c.created_at.desc(), EXPERIMENTS.c.name))
    return [
        StoredExperiment(
            **row, overrides=tuple(overrides.get(row["name"], ())), records=tuple(records.get(row["name"], ()))
        )
        for row in rows.mappings()
    ]
