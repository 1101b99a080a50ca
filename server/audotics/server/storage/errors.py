"""What can be wrong with the server's durable state, in words for whoever has to put it right."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from audotics.server.errors import AudoticsError


class StorageError(AudoticsError):
    """The database cannot be opened, read or written now. Nothing of the failed call is acknowledged."""


_SQLITE: Final = (
    # The primary code is the low byte: https://www.sqlite.org/rescode.html
    (sqlite3.SQLITE_BUSY, "is locked by another program; end it, or try again later"),
    (sqlite3.SQLITE_LOCKED, "is locked by another program; end it, or try again later"),
    (sqlite3.SQLITE_READONLY, "cannot be written to; give the server write permission to the file and its folder"),
    (sqlite3.SQLITE_FULL, "has no room left: the disk is full; make room, and try again later"),
    (sqlite3.SQLITE_IOERR, "cannot be read or written: the disk failed or is full; check it, and try again later"),
    (sqlite3.SQLITE_CANTOPEN, "cannot be opened; check that its folder is there and can be written to"),
    (sqlite3.SQLITE_CORRUPT, "is damaged; put back a copy of the file"),
    (sqlite3.SQLITE_NOTADB, "is not an SQLite file: file is not a database; name another one"),
)
_POSTGRESQL: Final = (
    # By the start of SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
    ("25006", "is read-only; name the primary server"),
    ("53100", "has no room left: the disk is full; make room, and try again later"),
    ("53300", "has no connection left; raise max_connections, or try again later"),
    ("55P03", "is locked by another program; end it, or try again later"),
    ("42501", "may not be changed by this user; grant it the right to make tables"),
    ("28", "refuses this user or password; check the URL"),
    ("3D000", "does not exist; make it with CREATE DATABASE"),
    ("57P", "is starting up or shutting down; try again later"),
)
_UNKNOWN: Final = "cannot be used at the moment; try again later"


def reason_of(error: SQLAlchemyError) -> str:
    """What is wrong with the database and what to do, to follow "the database". It holds nothing internal."""
    if isinstance(error, PoolTimeoutError):
        return "has no connection left; try again later"
    original = error.orig if isinstance(error, DBAPIError) else None
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        return next((reason for number, reason in _SQLITE if number == code & 0xFF), _UNKNOWN)
    state = getattr(original, "sqlstate", None)
    if state:
        return next((reason for start, reason in _POSTGRESQL if state.startswith(start)), _UNKNOWN)
    if isinstance(error, DBAPIError) and type(original).__name__ == "OperationalError":
        # libpq gives no SQLSTATE when it has no connection, or when a server refuses one.
        refused = ((" authentication failed", "28"), (" does not exist", "3D000"), ("starting up", "57P"))
        text = str(original)
        start = next((start for words, start in refused if words in text), None)
        if start is not None:
            return next(reason for known, reason in _POSTGRESQL if known == start)
        return "cannot be reached; start it or check the URL, and try again later"
    return _UNKNOWN
