"""`audotics serve` before it serves: what is wrong is one line, and exit code 1."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audotics.cli.commands import app


@pytest.fixture(autouse=True)
def process_logging() -> Iterator[None]:
    """The process's own logging comes back after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_repository_names_the_commands_that_make_one(tmp_path: Path, there: bool) -> None:
    empty = tmp_path / "empty"
    if there:
        empty.mkdir()
    arguments = ["--repository", str(empty), "--port", "0", "--http-port", "0", "--state-dir", str(tmp_path / "state")]
    result = CliRunner().invoke(app, ["serve", *arguments])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    missing = "" if there else " (there is no such folder)"
    assert line.startswith(f"error: {empty}{missing}: the repository has no catalogue")
    assert "audotics export RUN --repository" in line
    assert "audotics demo" in line


def test_one_port_for_two_things_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])  # free again in a moment
    options = ["--port", port, "--http-port", port, "--state-dir", str(tmp_path / "state")]
    result = CliRunner().invoke(app, ["serve", *options])
    assert (result.exit_code, result.stderr) == (
        1,
        f"error: gRPC and HTTP cannot share port {port}; choose another --http-port, or -1 for none\n",
    )


def test_a_wrong_setting_is_named() -> None:
    result = CliRunner().invoke(app, ["serve", "--port", "70000"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --port: Input should be less than or equal to 65535, got 70000")


def test_a_wrong_port_of_http_is_named() -> None:
    result = CliRunner().invoke(app, ["serve", "--http-port", "-2"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --http-port: Input should be greater than or equal to -1, got -2")


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}"
    result = CliRunner().invoke(app, ["serve", "--port", "0", "--database-url", url])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: cannot open the database {url}: it cannot be opened; check that its ")
