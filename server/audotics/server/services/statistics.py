"""What became of inference requests: one outcome each goes in, counts and times of every model version come out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Total:
    """How often something happened, and how long it took altogether."""

    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += ns


@dataclass(slots=True)
class VersionStatistics:
    """Of one version of a model, since the server started.

    Where requests ran together, each counts the whole run in `compute`. `share` adds up 1/n for each of n requests
    that ran together, which makes it the number of runs.
    """

    success: Total = field(default_factory=Total)
    failure: Total = field(default_factory=Total)
    queue: Total = field(default_factory=Total)
    compute: Total = field(default_factory=Total)
    share: float = 0.0
    last_ms: int = 0
    """When a request was last answered, in milliseconds since 1970."""

    @property
    def executions(self) -> int:
        return round(self.share)

    def answered(self, *, total_ns: int, queue_ns: int, compute_ns: int, share: float) -> None:
        self.success.add(total_ns)
        self.queue.add(queue_ns)
        self.compute.add(compute_ns)
        self.share += share
        self.last_ms = time.time_ns() // 1_000_000

    def failed(self, total_ns: int) -> None:
        self.failure.add(total_ns)


class Statistics:
    """All versions that were called."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, int], VersionStatistics] = {}

    def of(self, name: str, version: int) -> VersionStatistics:
        """Those of one version, to read or to add to."""
        found = self._versions.get((name, version))
        return self._versions.setdefault((name, version), VersionStatistics()) if found is None else found

    def __iter__(self) -> Iterator[tuple[str, int, VersionStatistics]]:
        return iter([(name, version, counts) for (name, version), counts in self._versions.items()])

    def versions(self, name: str) -> Iterator[int]:
        """Versions of a model that have been called, ascending."""
        return iter(sorted(version for called, version in self._versions if called == name))
