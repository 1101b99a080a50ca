"""Counts of what retrieval did and met, for whoever exports metrics."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields


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
    searches: int = 0
    """Queries that were searched, those of one listener's several interests each."""
    compactions: int = 0
    """Indexes that have taken up what had changed beside them."""


class RetrievalCounters:
    """Counts up, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = {field.name: 0 for field in fields(Counts)}

    def add(self, name: str, count: int = 1) -> None:
        """Add to the total `name` of Counts."""
        if name not in self._totals:
            raise ValueError(f"{name!r} is not counted; known: {', '.join(sorted(self._totals))}")
        with self._lock:
            self._totals[name] += count

    @property
    def counts(self) -> Counts:
        """The totals at this moment."""
        with self._lock:
            return Counts(**self._totals)
