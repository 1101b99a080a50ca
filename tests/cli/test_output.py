"""What the output helpers print, seen from a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import typer

from audotics.cli.output import expected_errors, fail, print_error, print_json, print_table


@dataclass(frozen=True)
class Value:
    name: str
    at: datetime
    parts: tuple[dict[int, float], ...]


def test_json_holds_dataclasses_times_and_any_script(capsys):
    print_json([Value("Björk – 夢", datetime(2026, 1, 2, tzinfo=UTC), ({1: 0.5},))])

    assert capsys.readouterr().out == (
        "[\n"
        "  {\n"
        '    "name": "Björk – 夢",\n'
        '    "at": "2026-01-02T00:00:00+00:00",\n'
        '    "parts": [\n'
        "      {\n"
        '        "1": 0.5\n'
        "      }\n"
        "    ]\n"
        "  }\n"
        "]\n"
    )


def test_a_long_cell_is_folded_and_not_cut_off(capsys):
    track_id = "".join(chr(ord("a") + place % 26) for place in range(300))

    print_table([(track_id, "1")], columns=("track", "score"), numeric=("score",), title="Tracks [of] today")

    title, header, body = capsys.readouterr().out.partition("track ")
    assert (title.strip(), header) == ("Tracks [of] today", "track ")
    rows = [line.split() for line in body.splitlines() if line.strip()]
    assert rows[2][1] == "1"
    assert "".join(row[0] for row in rows[2:]) == track_id


def test_an_error_is_one_line_on_stderr(capsys):
    print_error("first [bold]line\n  second line")

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "error: first [bold]line second line\n")


def test_fail_ends_the_command_with_1(capsys):
    with pytest.raises(typer.Exit) as ended:
        fail("no such file")

    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "error: no such file\n"


def test_only_expected_errors_become_a_line(capsys):
    with pytest.raises(typer.Exit) as ended, expected_errors(FileNotFoundError, ValueError):
        raise ValueError("row 3 is broken")
    with pytest.raises(KeyError), expected_errors(FileNotFoundError, ValueError):
        raise KeyError("a defect")

    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "error: row 3 is broken\n"
