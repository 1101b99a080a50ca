"""The end of what is kept: a time goes in, and what is older is deleted, some at a time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Table, delete, select

from audotics.server.storage.database import Database
from audotics.server.storage.schema import (
    DECISIONS,
    EVENTS,
    EXPOSURES,
    GROUP_SESSIONS,
    MODEL_RECORDS,
    RECEIPTS,
    SESSION_LOG,
    SESSION_MEMBERS,
    SESSION_PLAYS,
    SESSION_VOTES,
)


@dataclass(frozen=True, slots=True)
class Expired:
    """What one step deleted: how many rows, and the listeners who had a part in them."""

    rows: int
    user_ids: frozenset[str]


class RetentionStore:
    """Deletes old rows in steps of `limit`, so that no writer waits long for the step before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def expire_events(self, *, before: float, limit: int) -> Expired:
        """Delete the oldest events that arrived before a time, UTC seconds. Raises StorageError."""
        return self._expire(EVENTS, key="sequence", time="received_at", before=before, limit=limit)

    def expire_receipts(self, *, before: float, limit: int) -> Expired:
        """Delete the oldest receipts made before a time, UTC seconds. Raises StorageError."""
        return self._expire(RECEIPTS, key="recommendation_id", time="created_at", before=before, limit=limit)

    def expire_exposures(self, *, before: float, limit: int) -> Expired:
        """Delete the oldest exposures of experiments before a time, UTC seconds. Raises StorageError."""
        return self._expire(EXPOSURES, key="recommendation_id", time="created_at", before=before, limit=limit)

    def expire_decisions(self, *, before: float, limit: int) -> Expired:
        """Delete the oldest drawn tilts before a time, UTC seconds. Raises StorageError."""
        return self._expire(DECISIONS, key="recommendation_id", time="created_at", before=before, limit=limit)

    def expire_session_log(self, *, before: float, limit: int) -> Expired:
        """Delete what was logged earliest of sessions before a time, UTC seconds. Raises StorageError."""
        return self._expire(SESSION_LOG, key="sequence", time="at", before=before, limit=limit)

    def expire_model_records(self, *, before: float, limit: int) -> Expired:
        """Delete the oldest records of models before a time, UTC seconds. No listener has a part in them.

        Raises StorageError.
        """
        return self._expire(MODEL_RECORDS, key="sequence", time="at", before=before, limit=limit)

    def expire_sessions(self, *, before: float, limit: int) -> Expired:
        """Delete the sessions that have not changed for longest, if not since a time, with all that belongs to them.

        The rows of the answer are sessions, its listeners their members. Raises StorageError.
        """
        sessions = GROUP_SESSIONS.c
        old = select(sessions.session_id).where(sessions.changed_at < before).order_by(sessions.changed_at).limit(limit)
        with self._database.transaction() as connection:
            # A session that changes meanwhile is older no more: it is passed over by the second look at it.
            gone = connection.scalars(
                delete(GROUP_SESSIONS)
                .where(sessions.session_id.in_(old), sessions.changed_at < before)
                .returning(sessions.session_id)
            ).all()
            members = SESSION_MEMBERS.c
            user_ids = connection.scalars(select(members.user_id).where(members.session_id.in_(gone))).all()
            for table in (SESSION_MEMBERS, SESSION_VOTES, SESSION_PLAYS, SESSION_LOG):
                connection.execute(delete(table).where(table.c.session_id.in_(gone)))
        return Expired(len(gone), frozenset(user_ids))

    def _expire(self, table: Table, *, key: str, time: str, before: float, limit: int) -> Expired:
        old = select(table.c[key]).where(table.c[time] < before).order_by(table.c[time]).limit(limit)
        named = "user_id" in table.c
        statement = delete(table).where(table.c[key].in_(old)).returning(table.c["user_id" if named else key])
        with self._database.transaction() as connection:
            gone = connection.scalars(statement).all()
        return Expired(len(gone), frozenset(gone if named else ()))
