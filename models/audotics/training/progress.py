"""Progress of long work: stages are announced, counted and ended; who watches decides how to show them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Stage(Protocol):
    """One stage under way."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` as done; `note` says how it goes ("loss 1.204")."""


class Progress(Protocol):
    """Whoever watches."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Stage]:
        """Announce a stage of `total` steps."""
        ...

    def say(self, line: str) -> None:
        """Show one line that stays."""


class _QuietStage:
    def advance(self, steps: int = 1, note: str = "") -> None:
        """Show nothing."""


class Quiet:
    """Watches without a word, for scripts and tests."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Stage]:
        yield _QuietStage()

    def say(self, line: str) -> None:
        """Show nothing."""
