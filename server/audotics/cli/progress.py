"""Progress of long commands: stages go in, bars on a terminal or plain lines elsewhere come out, on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from audotics.cli.output import console
from audotics.training.progress import Stage

LINES_A_STAGE: Final = 5
"""How often a stage reports where there is no terminal."""


class RichProgress:
    """Shows each stage as a bar with its steps, the elapsed and the remaining time, and the latest note."""

    def __init__(self, bars: Progress) -> None:
        """`bars` is started and stopped by `rich_progress`."""
        self._bars = bars

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Stage]:
        """Show a bar, which stays when the stage is over; one that ended early is cut to the steps it took."""
        task = self._bars.add_task(title, total=total, note="")
        yield _BarStage(self._bars, task)
        done = self._bars.tasks[self._bars.task_ids.index(task)].completed
        self._bars.update(task, total=done)

    def say(self, line: str) -> None:
        """Show one line above the bars."""
        self._bars.console.print(Text(line), soft_wrap=True)


class PlainProgress:
    """Writes lines, a few for each stage, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Stage]:
        """Report about LINES_A_STAGE times, and at the end."""
        started = time.monotonic()
        stage = _LineStage(self, title, total)
        yield stage
        self.say(f"{title}: done in {time.monotonic() - started:.1f} s")

    def say(self, line: str) -> None:
        """Write one line."""
        self._console.print(Text(line), soft_wrap=True)


@contextmanager
def rich_progress() -> Iterator[RichProgress | PlainProgress]:
    """Progress on stderr: bars on a terminal, plain lines otherwise."""
    errors = console(stderr=True)
    if not errors.is_terminal:
        yield PlainProgress(errors)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with Progress(*columns, console=errors) as bars:
        yield RichProgress(bars)


class _BarStage:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._bars.advance(self._task, steps)
        if note:
            self._bars.update(self._task, note=note)


class _LineStage:
    def __init__(self, progress: PlainProgress, title: str, total: int) -> None:
        self._progress, self._title, self._total = progress, title, total
        self._done = 0
        self._reported = 0

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        parts_done = self._done * LINES_A_STAGE // max(self._total, 1)
        if parts_done > self._reported:
            self._reported = parts_done
            suffix = f", {note}" if note else ""
            self._progress.say(f"{self._title}: {self._done}/{self._total}{suffix}")
