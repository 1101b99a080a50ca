"""Opening a database: what works, what is refused, and what a commit promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.storage.schema import USERS


def test_makes_the_folder_and_the_file(database: Database, database_file: Path) -> None:
    assert database_file.is_file()


def test_commits_survive_a_power_cut(database: Database) -> None:
    with database.transaction() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    row = {"user_id": "u", "first_seen": 1.0, "last_seen": 1.0}

    def write_twice() -> None:
        with database.transaction() as connection:
            connection.execute(insert(USERS), [row])
            connection.execute(insert(USERS), [row])

    with pytest.raises(StorageError, match="try again later"):
        write_twice()
    with database.transaction() as connection:
        assert connection.execute(select(USERS)).all() == []


def test_an_error_of_the_caller_rolls_back_and_goes_on(database: Database) -> None:
    def write_and_fail() -> None:
        with database.transaction() as connection:
            connection.execute(insert(USERS), [{"user_id": "u", "first_seen": 1.0, "last_seen": 1.0}])
            raise KeyError("u")

    with pytest.raises(KeyError):
        write_and_fail()
    with database.transaction() as connection:
        assert connection.execute(select(USERS)).all() == []


@pytest.mark.parametrize("url", ["postgresql+psycopg://me:secret@host/name", "sqlite://", "sqlite:///:memory:"])
def test_refuses_what_is_no_sqlite_file(url: str) -> None:
    with pytest.raises(StorageError, match="expected a SQLite file") as caught:
        Database.open(url)
    assert "secret" not in str(caught.value)


def test_refuses_what_is_no_url() -> None:
    with pytest.raises(StorageError, match="is not a database URL"):
        Database.open("state.db")


def test_refuses_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot open the database .*state\.db"):
        Database.open(f"sqlite:///{tmp_path}/file/state.db")


def test_refuses_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("certainly not a database" * 100)
    with pytest.raises(StorageError, match="file is not a database"):
        Database.open(f"sqlite:///{tmp_path}/state.db")
