"""The database file: a URL goes in, transactions come out that are on disk when they end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol, Self

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from audotics.server.storage.errors import StorageError
from audotics.server.storage.schema import METADATA

_LOG: Final = logging.getLogger(__name__)
_BUSY_TIMEOUT_S: Final = 5.0


class Database:
    """An open SQLite database in write-ahead mode. All calls block; run them on a thread of their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Open `url` (`sqlite:///path/to/file.db`), making the file, its folder and the tables that are missing.

        Raises StorageError that says what to set instead.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise StorageError(f"{url!r} is not a database URL; expected for example sqlite:///state.db") from error
        if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
            shown = parsed.render_as_string(hide_password=True)
            raise StorageError(f"database {shown} is not supported; expected a SQLite file, sqlite:///path/to/file.db")
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(parsed, connect_args={"timeout": _BUSY_TIMEOUT_S})
            event.listen(engine, "connect", _make_durable)
            METADATA.create_all(engine)
        except (OSError, SQLAlchemyError) as error:
            reason = getattr(error, "orig", None) or error
            raise StorageError(
                f"cannot open the database {parsed.database}: {reason}; check that the folder can be written to and "
                "that the file is a database of Audotics"
            ) from error
        return cls(engine)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All statements of the block take effect, durably, or none does. Raises StorageError if the database fails."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            _LOG.error("database failed: %s", error)
            raise StorageError("the server's database cannot be used at the moment; try again later") from error

    def close(self) -> None:
        self._engine.dispose()


class _SqliteConnection(Protocol):
    def execute(self, statement: str, /) -> object: ...


def _make_durable(connection: _SqliteConnection, _record: object) -> None:
    # FULL syncs the log at every commit: with WAL's usual NORMAL a power cut could take back what was acknowledged.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
