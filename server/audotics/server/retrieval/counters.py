"""Counts of what retrieval did and met, for whoever exports metrics."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals since the start."""

    device_fallbacks: int = 0
    """Times that the CPU took over because a device was missing, failed, or had too little memory."""
    exact_filtered: int = 0
    """Filtered searches that compared every matching row."""
    indexed_filtered: int = 0
    """Filtered searches that went through the index."""
    completed: int = 0
    """Searches that an index left short, so that they were done again, wider or exactly."""
    recall_samples: int = 0
    """Queries that were searched again exactly to measure recall."""
    recall_skipped: int = 0
    """Queries that were to be, but came while too many waited."""
    swaps_blocked: int = 0
    """Indexes that were not put in service because they find too little."""


_NAMES = frozenset(field.name for field in fields(Counts))


class RetrievalCounters:
    """Counts up, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()

    def add(self, name: str, count: int = 1) -> None:
        """Add to the total `name` of Counts."""
        if name not in _NAMES:
            raise ValueError(f"{name!r} is not counted; known: {', '.join(sorted(_NAMES))}")
        with self._lock:
            self._counts = replace(self._counts, **{name: getattr(self._counts, name) + count})

    @property
    def counts(self) -> Counts:
        """The totals at this moment."""
        return self._counts
