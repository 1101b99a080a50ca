"""Who was deleted, by hashes of ids: a listener's id goes in when they are, and keeps out what comes late of them.

A list that was under way when its listener was deleted, perhaps on another server, is written down afterwards. Clocks
tell it from one that was made for the same listener later; where clocks are set back, it does that the deletion, which
its time names, was known when the later one was made.

On PostgreSQL whoever deletes and whoever writes of listeners wait for each other, so that neither misses the other;
SQLite has one writer at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, select, text

from audotics.server.storage.database import Database
from audotics.server.storage.schema import ERASURES

LATE_S: Final = 60.0
"""How long after a deletion a list of that listener may still be under way, or another server's clock be behind."""

_LOCK: Final = 7_264_110
"""An advisory lock of PostgreSQL: exclusive for who deletes, shared for who writes."""


def hash_of(user_id: str) -> str:
    """What is kept of a deleted listener's id."""
    return hashlib.sha256(user_id.encode()).hexdigest()


def note_erasure(database: Database, connection: Connection, user_id: str, *, erased_at: float) -> None:
    """Remember that a listener is deleted by this transaction. To be called before anything is deleted."""
    if database.dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    statement = database.insert(ERASURES)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[ERASURES.c.user_hash], set_={"erased_at": statement.excluded.erased_at}
        ),
        {"user_hash": hash_of(user_id), "erased_at": erased_at},
    )


def erasures_of(database: Database, connection: Connection, user_ids: Iterable[str]) -> dict[str, float]:
    """When those of the listeners who were deleted once were; until the transaction ends nobody else is."""
    if database.dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": _LOCK})
    hashes = {hash_of(user_id): user_id for user_id in user_ids if user_id}
    statement = select(ERASURES.c.user_hash, ERASURES.c.erased_at).where(ERASURES.c.user_hash.in_(hashes))
    return {hashes[hashed]: erased_at for hashed, erased_at in connection.execute(statement)} if hashes else {}
