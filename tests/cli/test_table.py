"""Tables on terminals of any width: what is folded, what is not, and how far apart columns stand."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from audotics.cli.table import fitted

COLUMNS = ("version", "state", "labels", "created (UTC)", "size")
ROW = ("collaborative/12", "in service", "stable", "2026-11-22 03:06", "324.6 kB")


def printed(
    width: int,
    rows: Sequence[Sequence[str]],
    *,
    columns: Sequence[str] = COLUMNS,
    whole: Sequence[str] = ("version", "created (UTC)"),
    numeric: Sequence[str] = ("size",),
) -> list[str]:
    table, needed = fitted(rows, columns=columns, numeric=numeric, whole=whole, width=width)
    assert needed >= width
    out = io.StringIO()
    Console(file=out, width=needed).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


@pytest.mark.parametrize(("width", "gap"), [(100, 3), (70, 3), (69, 2), (66, 2), (65, 1), (62, 1)])
def test_columns_move_closer_before_anything_is_folded(width: int, gap: int) -> None:
    header, _, row = printed(width, [ROW])
    assert row == " " + (" " * gap).join(ROW)
    assert header.startswith(f" version{' ' * (9 + gap)}state")


@pytest.mark.parametrize("width", [61, 50, 20])
def test_names_times_and_numbers_stay_whole_however_narrow_it_is(width: int) -> None:
    lines = printed(width, [(*ROW[:2], "canary, stable, tonight", *ROW[3:])])
    row = lines[2]
    for cell in (ROW[0], ROW[3], ROW[4]):
        assert cell in row
    assert "tonight" in "\n".join(lines)
    assert max(map(len, lines)) <= 66


def test_a_heading_longer_than_its_numbers_is_broken_between_words() -> None:
    *header, _, row = printed(14, [("1", "2")], columns=("rows of it", "size"), whole=(), numeric=("rows of it",))
    assert len(header) > 1
    assert sorted(" ".join(header).split()) == ["it", "of", "rows", "size"]
    assert row.split() == ["1", "2"]


def test_a_long_id_is_folded_and_can_be_read_in_full() -> None:
    track_id = "".join(chr(ord("a") + place % 26) for place in range(300))
    lines = printed(40, [(track_id, "1")], columns=("track", "score"), whole=(), numeric=("score",))
    assert max(map(len, lines)) <= 40
    assert "".join(line.split()[0] for line in lines[2:]) == track_id


def test_a_table_without_rows_has_its_headings() -> None:
    header, _ = printed(80, [])
    assert header.split() == ["version", "state", "labels", "created", "(UTC)", "size"]
