"""How many jobs are worth waiting for: what came goes in, what to expect comes out."""

from __future__ import annotations

from typing import Final

PATIENCE_S: Final = 0.0004
"""On a busy server the next request follows within this; a caller who waits for an answer takes longer to ask again."""

_MOST_PAUSE: Final = 1024
"""Runs of a lone caller's between two tries."""

_MOST_PAUSE_IN_COMPANY: Final = 64
"""Less, since a try that succeeds is followed by more, and one in vain costs little beside so many runs of several."""


class Company:
    """Follows the number of jobs that come right behind each other, up to `most`. Times are in seconds, on any clock.

    A job that comes soon after a run shows that others were on their way meanwhile, so one more is waited for from
    then on. Where fewer came than expected, fewer are. A wait for one more who did not come was in vain, and the next
    try is ever further away: so callers who are as many as ever, and a lone one above all, hardly ever wait for more.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pause = 1
        self._until_next_try = 0
        self._trying = False
        self._last_run = float("-inf")
        self._last_jobs = 1
        self.expected = 1
        """Jobs of the next run."""

    def begins(self, now: float) -> None:
        """Note the first job since the last run. The more jobs that had, the longer it takes to answer them all."""
        if self.expected >= self._most or now - self._last_run >= PATIENCE_S * self._last_jobs:
            return
        if self._until_next_try:
            self._until_next_try -= 1
        else:
            self.expected += 1
            self._trying = True

    def ran(self, jobs: int, *, now: float) -> None:
        """Note a run of `jobs`."""
        if self._trying and jobs == self.expected - 1:
            self._pause = min(2 * self._pause, _MOST_PAUSE if jobs == 1 else _MOST_PAUSE_IN_COMPANY)
            self._until_next_try = self._pause
            self.expected = jobs
        elif jobs < self.expected:
            self.expected = max(1, (self.expected + jobs) // 2)
        elif self._trying:
            self._pause = 1
        self._trying = False
        self._last_run, self._last_jobs = now, jobs
