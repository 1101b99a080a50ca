"""A batch from its jobs to their callers' answers: entries of the queue go in, resolved futures come out.

It is put together and taken apart on the event loop where that can be. After a run, a thread's processor has the model
in its caches and none of this code, which then takes several times as long.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Generic

from audotics.server.batching.queue import Entry
from audotics.server.batching.workload import JobT, ResultT, Work, Workload
from audotics.server.errors import DeadlineError


class Batch(Generic[JobT, ResultT]):
    """Entries of one key: `assemble` them on any thread, `run` them on one that may block, `answer` on the loop."""

    def __init__(self, workload: Workload[JobT, ResultT], entries: Sequence[Entry[JobT, ResultT]]) -> None:
        self._workload = workload
        self._wanted: Sequence[Entry[JobT, ResultT]] = ()
        self._work: Work[ResultT] | None = None
        self._error: Exception | None = None
        self.entries: Final = entries
        self.assembled = False
        self.jobs = 0
        """How many are worked on: those whose callers waited, within their deadlines, when it was put together."""
        self.rows = 0
        """Rows of these jobs."""
        self.assembly_s = 0.0
        """What it took to put them together."""
        self.run_s = 0.0

    def assemble(self) -> None:
        """Put the jobs together."""
        self.assembled = True
        now = time.monotonic()
        self._wanted = [entry for entry in self.entries if entry.wanted(now)]
        self.jobs, self.rows = len(self._wanted), sum(entry.rows for entry in self._wanted)
        if not self._wanted:
            return
        started = time.perf_counter()
        try:
            self._work = self._workload.assemble([entry.job for entry in self._wanted])
        except Exception as error:  # whatever it is, it is the callers' to handle
            self._error = error
        self.assembly_s = time.perf_counter() - started

    def run(self) -> None:
        """Work on the jobs. What fails is kept for `answer`."""
        if self._work is None:
            return
        started = time.perf_counter()
        try:
            self._work.run()
        except Exception as error:  # as in `assemble`
            self._error = error
        self.run_s = time.perf_counter() - started

    def answer(self) -> Sequence[Entry[JobT, ResultT]]:
        """Answer the callers. What is left over is to run again, each alone: entries that failed together."""
        if self._work is not None and self._error is None:
            try:
                answers = list(zip(self._wanted, self._work.results(), strict=True))
            except Exception as error:  # as in `assemble`
                self._error = error
            else:
                for entry, result in answers:
                    entry.resolve(result)
        if self._error is None:
            return ()
        if len(self._wanted) > 1:
            return self._wanted
        self._wanted[0].fail(self._error)
        return ()


def expire(entries: Sequence[Entry[JobT, ResultT]]) -> None:
    """Fail entries whose deadline has passed."""
    for entry in entries:
        entry.fail(DeadlineError("the deadline passed while the tracks waited to be scored"))
