"""Opening a database: what works, what is refused, and what a commit promises."""

from __future__ import annotations

import sqlite3
from contextlib import closing
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


@pytest.mark.parametrize("url", ["mysql://me:secret@host/name", "sqlite://", "sqlite:///:memory:"])
def test_refuses_what_is_no_database_of_its_kinds(url: str) -> None:
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


def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="it cannot be reached; start it or check the URL") as caught:
        Database.open(f"postgresql+psycopg://me:secret@/state?host={tmp_path}")
    assert "secret" not in str(caught.value)


def write(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(insert(USERS), [{"user_id": "u" * 100_000, "first_seen": 1.0, "last_seen": 1.0}])


def test_says_that_another_program_holds_the_lock(database: Database, database_file: Path) -> None:
    with (
        closing(Database.open(f"sqlite:///{database_file}?timeout=0.01")) as impatient,
        closing(sqlite3.connect(database_file, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="database is locked by another program; end it, or try again later"):
            write(impatient)
        other.execute("ROLLBACK")
        write(impatient)


@pytest.mark.parametrize(
    ("condition", "message"),
    [("query_only = ON", "cannot be written to; give"), ("max_page_count = 1", "disk is full; make room")],
)
def test_says_what_is_wrong_with_the_disk(database: Database, condition: str, message: str) -> None:
    with database.reading() as connection:
        connection.exec_driver_sql(f"PRAGMA {condition}")
    with pytest.raises(StorageError, match=message):
        write(database)
    with database.reading() as connection:
        assert connection.execute(select(USERS)).all() == []


def test_says_that_the_file_is_damaged(database: Database, database_file: Path) -> None:
    write(database)
    database.close()
    content = bytearray(database_file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database_file.write_bytes(content)
    with pytest.raises(StorageError, match="is damaged; put back a copy"):
        Database.open(f"sqlite:///{database_file}")


def test_a_failed_transaction_is_counted_and_the_next_one_says_that_the_database_is_up(database):
    assert (database.up, database.failures) == (True, 0)
    with pytest.raises(StorageError), database.reading() as connection:
        connection.execute(text("SELECT * FROM no_such_table"))
    assert (database.up, database.failures) == (False, 1)
    with database.reading() as connection:
        connection.execute(text("SELECT 1"))
    assert (database.up, database.failures) == (True, 1)
