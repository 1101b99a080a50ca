"""What became of the jobs of a batcher, counted for whoever exports metrics."""

from __future__ import annotations

from typing import Final

from audotics.server.telemetry.distribution import Distribution

_BOUNDS_ROWS: Final = (1, 4, 16, 64, 256, 512, 1024, 2048, 4096, 8192)


class BatchCounts:
    """Totals since the start. They belong to the event loop."""

    __slots__ = ("alone", "busy_s", "expired", "jobs", "refused", "rows")

    def __init__(self) -> None:
        self.rows = Distribution(_BOUNDS_ROWS)
        """Rows of each batch that ran."""
        self.jobs = 0
        """Jobs, or pieces of large ones, that these batches were made of."""
        self.busy_s = 0.0
        """What the batches took."""
        self.alone = 0
        """Jobs that ran past the batcher: nobody else's were under way, or they took no time."""
        self.refused = 0
        """Jobs that found no room in the queue, or had to leave it to others."""
        self.expired = 0
        """Jobs whose deadline passed before they were done."""

    def ran(self, *, rows: int, jobs: int, elapsed_s: float) -> None:
        """Count a batch."""
        self.rows.add(rows)
        self.jobs += jobs
        self.busy_s += elapsed_s
