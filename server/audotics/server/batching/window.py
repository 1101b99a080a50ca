"""How long jobs gather: when they come goes in, how long it is worth waiting for company comes out."""

from __future__ import annotations

from typing import Final

_SHARE: Final = 0.2
"""Weight of the latest job in the averages."""


class AdaptiveWindow:
    """Follows the load: the time until a batch is likely to be full, or nothing when too few jobs come for that.

    It never waits for longer than `longest_s`, and not at all when the next job is not expected within that time.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._gap_s = longest_s
        self._rows = 1.0
        self._latest: float | None = None

    def arrived(self, rows: int, *, now: float) -> None:
        """Note a job."""
        if self._latest is not None:
            # A long pause says no more than that nobody is in a hurry.
            gap_s = min(now - self._latest, 2 * self._longest_s)
            self._gap_s += _SHARE * (gap_s - self._gap_s)
        self._rows += _SHARE * (rows - self._rows)
        self._latest = now

    def wait_s(self, missing_rows: int) -> float:
        """How long to wait for `missing_rows` more rows."""
        if self._gap_s >= self._longest_s:
            return 0.0
        return min(self._longest_s, self._gap_s * max(missing_rows, 0) / max(self._rows, 1.0))
