"""The history of the tables: a connection goes in, and its tables are those of this version when the call returns.

Each step stands in `versions/`. Alembic is imported only when there is a step to take: it costs more than the rest of a
start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, inspect, text

from audotics.server.storage.errors import StorageError

HEAD: Final = "artists"
"""The newest step."""

_FIRST: Final = "0001"
_VERSION_TABLE: Final = "alembic_version"
_LOCK: Final = 0x41756474
"""Number of the lock that lets one server at a time change the tables of a PostgreSQL database."""


def upgrade(connection: Connection, *, shown: str) -> None:
    """Bring the tables up to date within the transaction of `connection`. `shown` names the database in messages.

    Raises StorageError for tables of a newer version of Audotics.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = _version(connection)
    if version == HEAD:
        return
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(__file__).parent))
    known = {revision.revision for revision in script.walk_revisions()}
    if version is not None and version not in known:
        raise StorageError(
            f"the database {shown} was written by a newer version of Audotics (tables {version}, this version knows "
            f"{HEAD}); update Audotics, or name another database"
        )

    def steps(revision: Any, context: MigrationContext) -> Any:
        return script._upgrade_revs(HEAD, revision)

    context = MigrationContext.configure(connection, opts={"fn": steps})
    if version is None and inspect(connection).has_table("events"):
        # Version 0.1 made its tables without a history; they are those of the first step.
        context.stamp(script, _FIRST)
    with Operations.context(context):
        context.run_migrations()


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    version: str | None = connection.scalar(text(f"SELECT version_num FROM {_VERSION_TABLE}"))
    return version
