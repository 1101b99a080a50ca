"""Connections to a server's database, SQLite or PostgreSQL: a URL goes in, one function that runs a query comes out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from audotics.data.dataset import DataError
from audotics.data.loaders.postgres.connection import DatabaseUrl, connect, is_postgres_url

SQLITE: Final = "sqlite:///"
_PART_ROWS: Final = 10_000

Query = Callable[..., Iterator[tuple[Any, ...]]]
"""`query(sql, *values)`, with ? where a value stands, yields rows."""


def shown(url: str) -> str:
    """The URL without a password."""
    return DatabaseUrl.parse(url).shown if is_postgres_url(url) else url


@contextmanager
def reading(url: str) -> Iterator[Query]:
    """Open a database that is only read, and seen as it is now throughout. Raises DataError."""
    if is_postgres_url(url):
        with connect(DatabaseUrl.parse(url)) as connection:

            def ask(sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
                with connection.cursor() as cursor:
                    cursor.execute(sql.replace("?", "%s").encode(), values)
                    while part := cursor.fetchmany(_PART_ROWS):
                        yield from part

            yield ask
        return
    path = Path(url.removeprefix(SQLITE))
    if not path.is_file():
        raise DataError("there is no such database; name the file state.db in the server's state folder", path=path)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            opened.execute("BEGIN")

            def query(sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
                yield from opened.execute(sql, values)

            yield query
    except sqlite3.Error as error:
        raise DataError(f"cannot be read: {error}; is it the database of a server?", path=path) from error
