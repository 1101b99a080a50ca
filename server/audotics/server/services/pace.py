"""How fast a model runs: sizes of inputs and times go in, which sizes may run on the event loop comes out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

_SHORT_NS: Final = 500_000
"""A run that takes no longer may hold the event loop while nobody else waits for it."""
_BRIEF_NS: Final = 200_000
"""A run that takes no longer may always hold it, with a few others."""

_FIRST_PAUSE_NS: Final = 1_000_000_000


@dataclass(slots=True, eq=False)
class Pace:
    """Up to how many elements of its inputs a model is short or brief, by what was measured.

    One that had to be ended on the event loop stays away from it for a while, and each time for twice as long.
    """

    short: int = 0
    brief: int = 0
    barred_until_ns: int = 0
    _pause_ns: int = _FIRST_PAUSE_NS

    def ended(self) -> None:
        """Note a run that had to be ended."""
        self.short = self.brief = 0
        self.barred_until_ns = time.perf_counter_ns() + self._pause_ns
        self._pause_ns *= 2

    def note(self, elements: int, compute_ns: int) -> None:
        if self.barred_until_ns:
            if time.perf_counter_ns() < self.barred_until_ns:
                return
            self.barred_until_ns = 0
        self.short = _adjusted(self.short, elements, fast=compute_ns <= _SHORT_NS)
        self.brief = _adjusted(self.brief, elements, fast=compute_ns <= _BRIEF_NS)


def _adjusted(known: int, elements: int, *, fast: bool) -> int:
    """Up to how many elements runs are fast, after one of `elements` that was or was not."""
    if fast:
        return max(known, elements)
    return elements // 2 if elements <= known else known
