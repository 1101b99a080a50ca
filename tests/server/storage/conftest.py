"""A real SQLite file for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audotics.server.storage.database import Database


@pytest.fixture
def database_file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.db"


@pytest.fixture
def database(database_file: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{database_file}")
    yield opened
    opened.close()
