"""Logs: one line a record, for machines or for people, whoever wrote it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from audotics.server.telemetry.logs import configure_logs, get_logger


@pytest.fixture(autouse=True)
def process_logging() -> Iterator[None]:
    """The process's own logging comes back after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_fields_become_json() -> None:
    stream = io.StringIO()
    configure_logs(log_format="auto", level="info", stream=stream)
    get_logger("audotics.a").info("request", code="OK", duration_ms=1.5)
    logging.getLogger("audotics.b").warning("refused: %s", "ncf/2")
    ours, foreign = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (ours["event"], ours["code"], ours["duration_ms"], ours["logger"]) == ("request", "OK", 1.5, "audotics.a")
    assert (foreign["event"], foreign["level"], foreign["logger"]) == ("refused: ncf/2", "warning", "audotics.b")


def test_people_read_lines() -> None:
    stream = io.StringIO()
    configure_logs(log_format="console", level="info", stream=stream)
    get_logger("audotics.a").info("request", code="OK")
    assert "request" in stream.getvalue()
    assert "code=OK" in stream.getvalue()


def test_a_traceback_stays_in_one_json_line() -> None:
    stream = io.StringIO()
    configure_logs(log_format="json", level="info", stream=stream)
    get_logger("audotics.a").error("failed", exc_info=ValueError("reason"))
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: reason" in json.loads(line)["exception"]


def test_the_level_holds_and_the_last_choice_counts() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs(log_format="json", level="debug", stream=first)
    configure_logs(log_format="json", level="warning", stream=second)
    get_logger("audotics.a").info("quiet")
    get_logger("audotics.a").warning("loud")
    assert first.getvalue() == ""
    assert [json.loads(line)["event"] for line in second.getvalue().splitlines()] == ["loud"]
