"""Deadlines of lists, on the clock of `time.monotonic()`."""

from __future__ import annotations

import time

from audotics.server.errors import DeadlineError


def check_deadline(deadline: float | None) -> None:
    """Raises DeadlineError once it has passed."""
    if deadline is not None and time.monotonic() >= deadline:
        raise DeadlineError("the deadline passed before the list was made")


def seconds_until(time_s: float | None) -> float | None:
    """Not below 0; None for no limit."""
    return None if time_s is None else max(0.0, time_s - time.monotonic())
