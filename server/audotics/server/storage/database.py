"""The database: a URL goes in, transactions come out that are on disk when they end. SQLite or PostgreSQL."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from audotics.server.storage.errors import StorageError, reason_of
from audotics.server.storage.migrations import upgrade

_LOG: Final = logging.getLogger(__name__)
_LOCK_TIMEOUT_S: Final = 5
_CONNECT_TIMEOUT_S: Final = 3
_WRITES: Final = "audotics_writes"
_EXPECTED: Final = "expected a SQLite file, sqlite:///path/to/file.db, or postgresql+psycopg://user@host/name"


class Database:
    """An open database. All calls block; run them on a thread of their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{_WRITES: True})
        self.dialect: str = engine.dialect.name
        """`sqlite` or `postgresql`."""
        self.up = True
        """Whether the last transaction did what it should."""
        self.failures = 0
        """Transactions that the database failed since it was opened."""
        self._counting = threading.Lock()

    @classmethod
    def open(cls, url: str) -> Self:
        """Open `url`, making what is missing: the file and folder of an SQLite database, and the tables.

        Tables of an earlier version of Audotics are brought up to date. Raises StorageError that says what to do.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise StorageError(f"{url!r} is not a database URL; {_EXPECTED}") from error
        shown = parsed.render_as_string(hide_password=True)
        try:
            engine = _engine(parsed, shown)
        except OSError as error:
            raise StorageError(f"cannot open the database {parsed.database}: {error}; name another folder") from error
        opened = cls(engine)
        try:
            with opened._writing.begin() as connection:
                upgrade(connection, shown=shown)
        except SQLAlchemyError as error:
            engine.dispose()
            _LOG.debug("cannot open the database", exc_info=error)
            raise StorageError(f"cannot open the database {shown}: it {reason_of(error)}") from error
        except StorageError:
            engine.dispose()
            raise
        return opened

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All statements of the block take effect, durably, or none does. Raises StorageError if the database fails."""
        with self._translated(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Statements of the block see one state and change nothing. Never waits for a writer. Raises StorageError."""
        with self._translated(), self._engine.begin() as connection:
            yield connection

    def compact(self) -> None:
        """Let nothing that was deleted stay in SQLite's log, as far as no reader needs it. Raises StorageError."""
        if self.dialect != "sqlite":
            return
        with self._translated(), closing(self._engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def insert(self, table: Table) -> Any:
        """An INSERT that knows `on_conflict_do_update` and `excluded`, in the database's own dialect."""
        return (postgresql if self.dialect == "postgresql" else sqlite).insert(table)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
            self.up = True
        except SQLAlchemyError as error:
            self.up = False
            with self._counting:
                self.failures += 1
            reason = reason_of(error)
            _LOG.error("the database %s: %s", reason, error)
            raise StorageError(f"the server's database {reason}") from error


def _engine(url: URL, shown: str) -> Engine:
    match url.get_backend_name():
        case "sqlite" if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            timeout = {} if "timeout" in url.query else {"timeout": _LOCK_TIMEOUT_S}
            engine = create_engine(url, connect_args={"isolation_level": None, **timeout})
            event.listen(engine, "connect", _make_durable)
            event.listen(engine, "begin", _begin)
            return engine
        case "postgresql":
            options: dict[str, str | int] = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "audotics"}
            if "options" not in url.query:
                # An acknowledged event must be on disk, whatever the server's own default is.
                options["options"] = f"-c synchronous_commit=on -c lock_timeout={_LOCK_TIMEOUT_S}s"
            # A connection is tried before it is used, so that a server that was restarted is noticed by nobody else.
            return create_engine(url.set(drivername="postgresql+psycopg"), connect_args=options, pool_pre_ping=True)
        case _:
            raise StorageError(f"database {shown} is not supported; {_EXPECTED}")


def _make_durable(connection: Any, _record: object) -> None:
    # FULL syncs the log at every commit: with WAL's usual NORMAL a power cut could take back what was acknowledged.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    # What is deleted is overwritten with zeros: DeleteUser promises that nothing is left in the file.
    connection.execute("PRAGMA secure_delete=ON")


def _begin(connection: Connection) -> None:
    # The driver's own BEGIN comes late and takes the lock later still: two writers would then fail instead of waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")
