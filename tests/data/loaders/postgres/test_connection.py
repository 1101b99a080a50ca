"""Databases that cannot be used: each ends in one message that names the way out and never the password."""

from __future__ import annotations

import socket
from collections.abc import Callable

import psycopg
import pytest

from audotics.data.dataset import DataError
from audotics.data.loaders import load
from audotics.data.loaders.postgres.connection import DatabaseUrl

Database = Callable[[str], str]

SYNTHETIC = "or train on generated data with --synthetic"


def refusal(url: str) -> str:
    """What is said when loading fails; it offers the generated data."""
    with pytest.raises(DataError) as caught:
        load(url)
    assert SYNTHETIC in str(caught.value)
    return str(caught.value)


def test_a_wrong_password(server) -> None:
    said = refusal(server.url("postgres", user="reader", password="wr@ng"))

    assert said.startswith("postgresql://reader@/postgres?host=")
    assert "the password of reader is wrong" in said
    assert "wr@ng" not in said
    assert "wr%40ng" not in said


def test_no_password(server) -> None:
    assert "reader needs a password" in refusal(server.url("postgres", user="reader"))


def test_a_right_password_opens(server, database: Database) -> None:
    database("CREATE TABLE tracks (id text); CREATE TABLE interactions (user_id text, track_id text)")
    url = database("INSERT INTO interactions VALUES ('a', 'x'); GRANT SELECT ON tracks, interactions TO reader")
    name = url.partition("?")[0].rpartition("/")[2]

    assert load(server.url(name, user="reader", password=server.password)).n_users == 1


def test_a_table_that_may_not_be_read(server, database: Database) -> None:
    url = database("CREATE TABLE tracks (id text); CREATE TABLE interactions (user_id text, track_id text)")
    name = url.partition("?")[0].rpartition("/")[2]
    said = refusal(server.url(name, user="reader", password=server.password))

    assert "permission denied for table tracks; grant reader SELECT on it" in said
    assert server.password not in said


def test_a_database_or_user_that_does_not_exist(server) -> None:
    assert "there is no database 'nowhere'; create it" in refusal(server.url("nowhere"))
    assert "there is no database user nobody" in refusal(server.url("postgres", user="nobody"))


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = refusal(f"postgresql://u:secret@127.0.0.1:{port}/music")

    assert said.startswith(f"postgresql://u@127.0.0.1:{port}/music: no server answers; start PostgreSQL")
    assert "secret" not in said


def test_missing_tables_and_columns(database: Database) -> None:
    assert "there is no table 'tracks'; create it, or a view" in refusal(database("SELECT 1"))
    url = database("CREATE TABLE tracks (id text)")
    assert "there is no table 'interactions'; create it, or a view" in refusal(url)
    database("CREATE TABLE interactions (listener text, track_id text)")
    said = refusal(url)
    assert "table interactions has no column for 'user': looked for user, user_id," in said
    assert "found listener, track_id; name it in the column mapping with --column" in said
    database("ALTER TABLE interactions RENAME listener TO user_id")
    assert "table interactions holds no usable interactions; fill it" in refusal(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hu@sh@host/music",
        "postgresql://ann:hush/w@host/music",
        "postgresql://ann:456/w@host/music",
        "postgresql://ann:hush%@host/music",
        "postgresql://host:hush/music",
    ],
)
def test_a_malformed_url_is_not_quoted(url: str) -> None:
    with pytest.raises(DataError, match="the URL of the database cannot be read; it has the form postgres") as caught:
        DatabaseUrl.parse(url)
    for part in ("hu@", "sh@", "hush", "456", "w@"):
        assert part not in str(caught.value)


def test_a_url_keeps_its_password_to_itself() -> None:
    url = DatabaseUrl.parse("postgresql+psycopg://ann:hush%21@db.example:5433/music?sslmode=require")

    assert url.parameters["password"] == "hush!"
    assert url.parameters["port"] == "5433"
    assert url.shown == "postgresql://ann@db.example:5433/music"
    assert "hush" not in repr(url)
    assert url.without_password("wrong: hush!") == "wrong: ***"


def test_a_connection_that_breaks_while_reading(server, database: Database) -> None:
    """A view that ends its own connection stands for a server that stops."""
    url = database("""
        CREATE TABLE tracks (id text);
        CREATE VIEW interactions AS SELECT pg_terminate_backend(pg_backend_pid())::text AS user_id, 'x' AS track_id;
        """)
    with pytest.raises(DataError, match=r"reading failed: .*; see that the server is well and train again"):
        load(url)


def test_nothing_is_written(server, database: Database) -> None:
    """The source reads in a read-only transaction, even where a view would write."""
    url = database("""
        CREATE TABLE tracks (id text);
        CREATE TABLE log (at timestamptz);
        CREATE FUNCTION touch() RETURNS text LANGUAGE sql AS 'INSERT INTO log VALUES (now()) RETURNING ''a''';
        CREATE VIEW interactions AS SELECT touch() AS user_id, 'x' AS track_id;
        """)
    with pytest.raises(DataError, match="read-only transaction"):
        load(url)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM log").fetchone() == (0,)
