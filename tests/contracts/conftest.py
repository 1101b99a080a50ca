"""Both databases, each a real one: a file, and a server that is started for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from audotics.server.storage.database import Database
from tests.postgres import Postgres, running_postgres

KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="package")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/state.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.empty()


@pytest.fixture
def connect(database_url: str) -> Iterator[Callable[[], Database]]:
    """Return a function that opens the database once more, as another server would; all are closed in the end."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Database.open(database_url)))


@pytest.fixture
def database(connect: Callable[[], Database]) -> Database:
    return connect()
