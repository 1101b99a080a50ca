"""What the batcher runs: jobs that consist of rows, and how many of them are worked on in one call."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol, TypeVar

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)


class Work(Protocol[ResultT_co]):
    """Jobs that were put together. It runs once, and then has results."""

    def run(self) -> None:
        """Do it. Called on an executor's thread, and may block; when it fails, so does the whole of it."""

    def results(self) -> Sequence[ResultT_co]:
        """Take apart what the run gave: one result for each job, in order. Must be brief."""


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

    def assemble(self, jobs: Sequence[JobT]) -> Work[ResultT]:
        """Put jobs of one key together. Called on any thread.

        An exception, here or from the work, fails all jobs at once. Each is then tried alone, so that only the cause
        fails.
        """


def work_on(workload: Workload[JobT, ResultT], jobs: Sequence[JobT]) -> Sequence[ResultT]:
    """Assemble, run and take apart jobs of one key, all here. Raises what the workload raises."""
    work = workload.assemble(jobs)
    work.run()
    return work.results()
