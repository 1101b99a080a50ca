"""What happens to a row that cannot be read: a file, a line and a reason go in, an error or a count comes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audotics.data.dataset import DataError, LoadReport


class BrokenRowError(ValueError):
    """A row cannot be read. `reason` is the same for all rows broken in this way, `detail` is of this row alone."""

    def __init__(self, reason: str, *, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class BrokenRows:
    """The caller's choice for broken rows: stop at the first, or leave them out and count them in `report`."""

    report: LoadReport
    skip: bool

    def reject(self, path: Path, line: int, error: BrokenRowError) -> None:
        """Count the row at the 1-based `line`, or raise DataError that says where it is and what to do."""
        if not self.skip:
            message = f"{error}; repair the row, or leave broken rows out with --skip-bad-rows"
            raise DataError(message, path=path, line=line) from error
        self.report.dropped[f"rows of {path.name}: {error.reason}"] += 1
