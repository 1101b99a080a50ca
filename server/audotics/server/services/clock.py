"""The time that events are given: readings of a clock that may be set back go in, times that never go back come out."""

from __future__ import annotations

import time
from collections.abc import Callable


class SteadyClock:
    """UTC seconds. When the clock is set back, the time stands still until the clock has caught up.

    The later of two judgements of a track decides, so a clock that is set back must not make the later one the earlier.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._latest = 0.0

    def __call__(self) -> float:
        self._latest = max(self._latest, self._now())
        return self._latest
