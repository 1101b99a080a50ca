"""`audotics evaluate` beyond its table: the report, the length of lists, and files that cannot be written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def run(audotics, tmp_path: Path) -> Path:
    """Trained on 40 listeners of two tastes, each with 8 of 12 tracks."""
    rng = np.random.default_rng(0)
    heard = [rng.choice(12, 8, replace=False) + 12 * (user % 2) for user in range(40)]
    rows = [f"u{user},t{track}" for user, tracks in enumerate(heard) for track in tracks]
    path = tmp_path / "plays.csv"
    path.write_text("\n".join(["user_id,track_id", *rows]) + "\n")
    trained = audotics("train", "collaborative", "--data", str(path), "--output", str(tmp_path / "run"))
    assert trained.exit_code == 0, trained.output
    return tmp_path / "run"


def test_the_table_compares_with_ease(audotics, run):
    result = audotics("evaluate", str(run))

    assert result.exit_code == 0, result.output
    assert "/ EASE (95 %)" in result.stdout
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.split()}
    assert lines["collaborative"].count("–") == 1
    assert "(" not in lines["EASE"]


def test_the_report_is_written_beside_the_table(audotics, run, tmp_path):
    report = tmp_path / "report.html"
    result = audotics("evaluate", str(run), "--html", str(report))

    assert result.exit_code == 0, result.output
    assert f"Report: {report}" in result.stdout
    page = report.read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "collaborative" in page
    assert "paired" in page


def test_the_length_of_lists_can_be_chosen(audotics, run, tmp_path):
    result = audotics("evaluate", str(run), "--k", "3", "--json", "--html", str(tmp_path / "report.html"))

    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    for row in document["rows"]:
        assert list(row["metrics"])[:2] == ["hr@3", "ndcg@3"]
        assert set(row["intervals"]) == {"ndcg@3"}
    assert (tmp_path / "report.html").is_file()
    assert audotics("evaluate", str(run), "--k", "0").exit_code == 2


def test_a_report_that_cannot_be_written_is_one_line(audotics, run, tmp_path):
    result = audotics("evaluate", str(run), "--html", str(tmp_path / "absent" / "report.html"))

    assert result.exit_code == 1
    assert str(tmp_path / "absent" / "report.html") in result.stderr.splitlines()[-1]
    assert result.stderr.splitlines()[-1].startswith("error: ")
