"""What becomes of a batch: entries go in, what answers each of their callers comes out.

One job's failure is its own: when a batch fails, each of its jobs runs alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from audotics.server.batching.queue import Entry
from audotics.server.batching.workload import JobT, ResultT, Workload
from audotics.server.errors import DeadlineError


def still_wanted(entries: Sequence[Entry[JobT, ResultT]]) -> list[Entry[JobT, ResultT]]:
    """Those whose caller waits, and whose deadline has not passed."""
    now = time.monotonic()
    return [entry for entry in entries if entry.wanted(now)]


def outcomes(workload: Workload[JobT, ResultT], entries: Sequence[Entry[JobT, ResultT]]) -> list[Callable[[], None]]:
    """Run jobs of one key, or after a failure each of them alone. What comes back answers one caller a call."""
    if not entries:
        return []
    try:
        results = workload.run([entry.job for entry in entries])
        return [partial(entry.resolve, result) for entry, result in zip(entries, results, strict=True)]
    except Exception as error:  # whatever it is, it is the caller's to handle
        if len(entries) == 1:
            return [partial(entries[0].fail, error)]
        return [outcome for entry in entries for outcome in outcomes(workload, still_wanted([entry]))]


def expire(entries: Sequence[Entry[JobT, ResultT]]) -> None:
    """Fail entries whose deadline has passed."""
    for entry in entries:
        entry.fail(DeadlineError("the deadline passed while the tracks waited to be scored"))
