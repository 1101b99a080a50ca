"""Progress as lines where there is no terminal, as bars where there is one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from audotics.cli.progress import PlainProgress, RichProgress, rich_progress


@pytest.fixture
def lines():
    return Console(file=io.StringIO(), width=40)


def test_a_pipe_gets_a_few_lines_a_stage(lines):
    progress = PlainProgress(lines)
    with progress.stage("ncf", 100) as stage:
        for step in range(100):
            stage.advance(1, f"loss {step}")

    *reports, last = lines.file.getvalue().splitlines()
    assert reports == [f"ncf: {done}/100, loss {done - 1}" for done in (20, 40, 60, 80, 100)]
    assert last.startswith("ncf: done in ")


def test_a_stage_that_fails_is_not_done(lines):
    def diverge():
        with PlainProgress(lines).stage("ncf", 2) as stage:
            stage.advance(2)
            raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        diverge()

    assert lines.file.getvalue() == "ncf: 2/2\n"


def test_long_lines_and_brackets_stay_whole(lines):
    line = "content: left out, it is not trained in runs/[Live]/a-long-name-for-a-folder"
    PlainProgress(lines).say(line)

    assert lines.file.getvalue() == line + "\n"


def test_a_terminal_gets_bars_with_notes(lines):
    lines = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Progress(*Progress.get_default_columns(), console=lines) as bars:
        progress = RichProgress(bars)
        with progress.stage("outer", 2) as outer, progress.stage("inner", 3) as inner:
            inner.advance(3, "recall 0.97")
            outer.advance()
        progress.say("content: left out")
        first, second = bars.tasks

    assert (first.description, first.completed, first.total) == ("outer", 1, 1)
    assert (second.description, second.completed, second.total) == ("inner", 3, 3)
    assert second.fields["note"] == "recall 0.97"
    assert "content: left out" in lines.file.getvalue()


def test_without_a_terminal_the_command_reports_on_stderr(capsys):
    with rich_progress() as progress, progress.stage("export", 1) as stage:
        stage.advance()

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("export: 1/1\nexport: done in ")
