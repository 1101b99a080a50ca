"""From a database to a trained run, at the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from audotics.cli.commands import app

Database = Callable[[str], str]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_training_reads_the_database(server, database: Database, tmp_path: Path) -> None:
    """40 listeners of two tastes, each with 8 of 12 tracks."""
    url = database("""
        CREATE TABLE songs (song_id integer, name text);
        INSERT INTO songs SELECT i, 'Song ' || i FROM generate_series(0, 23) AS i;
        CREATE VIEW tracks AS SELECT song_id, name FROM songs;
        CREATE TABLE interactions (listener text, song_id integer, played_at timestamptz);
        INSERT INTO interactions SELECT 'u' || u, (u + 5 * i) % 12 + 12 * (u % 2), to_timestamp(1700000000 + i)
            FROM generate_series(0, 39) AS u, generate_series(0, 7) AS i;
        GRANT SELECT ON tracks, interactions TO reader;
        """)
    name = url.partition("?")[0].rpartition("/")[2]
    guarded = server.url(name, user="reader", password=server.password)
    command = [
        "train",
        "collaborative",
        "--data",
        guarded,
        "--column",
        "user=listener",
        "--output",
        str(tmp_path / "run"),
    ]
    done = CliRunner().invoke(app, [*command, "--json"])

    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["counts"]["listeners"], document["counts"]["tracks"]) == (40, 24)
    assert document["kinds"]["collaborative"]["validation"]["ndcg@10"] > 0
    record = (tmp_path / "run" / "run.json").read_text()
    assert f"postgresql://reader@/{name}" in record
    assert server.password not in record
    again = CliRunner().invoke(app, [*command, "--resume"])
    assert "collaborative: kept, it was finished with the same options" in again.stderr
