"""What the batcher runs: jobs that consist of rows, and a blocking function that works on many of them in one call."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol, TypeVar

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


class Workload(Protocol[JobT, ResultT]):
    """How jobs of one kind are measured, cut, run together, and put together again."""

    def rows(self, job: JobT) -> int:
        """Size of the job, the unit of every limit."""

    def key(self, job: JobT) -> Hashable:
        """Jobs run together only when their keys are equal, for example because they need the same model version."""

    def split(self, job: JobT, limit_rows: int) -> Sequence[JobT]:
        """Cut a job into pieces of at most `limit_rows` rows, in order."""

    def join(self, results: Sequence[ResultT]) -> ResultT:
        """Undo `split`: the results of the pieces, in order, become the result of the job."""

    def run(self, jobs: Sequence[JobT]) -> Sequence[ResultT]:
        """Work on jobs of one key and return one result each, in order. Called on an executor's thread; may block.

        An exception fails the whole call. The batcher then runs each job alone, so that only the cause fails.
        """
