"""Inference as the row batcher's workload: jobs for one version go in, and come out with their part of one run."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.batching.workload import Work
from audotics.server.runtime.model import Model, UnavailableModelError
from audotics.server.services.joining import RowPlan
from audotics.server.services.signature import Signature

_ROW_BYTES: Final = 1024
"""On its way to another server a row counts as one for each so many bytes: a batch of 4,096 stays below the 4 MiB that
gRPC takes where nobody says otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class InferenceJob:
    signature: Signature
    model: Model
    feeds: Mapping[str, NDArray[Any]]
    outputs: tuple[str, ...]
    deadline: float | None


@dataclass(frozen=True, slots=True, eq=False)
class InferenceRun:
    """Outputs of a job; when its run began on the clock of `perf_counter_ns`, how long it took, who shared it.

    With `unavailable` there are none: the server of the model did not answer.
    """

    arrays: Sequence[NDArray[Any]]
    started_ns: int
    compute_ns: int
    share: float
    unavailable: UnavailableModelError | None = None


class InferenceWorkload:
    """The row batcher's workload."""

    def rows(self, job: InferenceJob) -> int:
        plan = job.signature.plan
        if plan is None:
            return 1
        rows = plan.weight(job.feeds)
        return max(rows, sum(array.nbytes for array in job.feeds.values()) // _ROW_BYTES) if job.model.waits else rows

    def key(self, job: InferenceJob) -> Hashable:
        plan = job.signature.plan
        # Models are equal only when they are the same object. Without a plan a job is equal to no other.
        return job if plan is None else (job.model, job.outputs, plan.shapes(job.feeds))

    def split(self, job: InferenceJob, limit_rows: int) -> Sequence[InferenceJob]:
        plan = job.signature.plan
        if plan is None:
            return [job]
        return [replace(job, feeds=feeds) for feeds in plan.cut(job.feeds, limit_rows, outputs=job.outputs)]

    def join(self, results: Sequence[InferenceRun]) -> InferenceRun:
        failed = next((result for result in results if result.unavailable is not None), None)
        if failed is not None or len(results) == 1:
            return failed or results[0]
        arrays = [np.concatenate(parts) for parts in zip(*(result.arrays for result in results), strict=True)]
        compute_ns, share = sum(result.compute_ns for result in results), sum(result.share for result in results)
        return InferenceRun(arrays, min(result.started_ns for result in results), compute_ns, share)

    def assemble(self, jobs: Sequence[InferenceJob]) -> Work[InferenceRun]:
        plan = jobs[0].signature.plan
        return _Alone(jobs[0]) if len(jobs) == 1 or plan is None else _Together(jobs, plan)


class _Alone:
    """One job, as it is."""

    __slots__ = ("_job", "_ran")

    def __init__(self, job: InferenceJob) -> None:
        self._job = job

    def run(self) -> None:
        job, started_ns = self._job, time.perf_counter_ns()
        arrays = job.model.run(job.feeds, job.outputs, deadline=job.deadline)
        self._ran = InferenceRun(arrays, started_ns, time.perf_counter_ns() - started_ns, 1.0)

    def results(self) -> Sequence[InferenceRun]:
        return (self._ran,)


class _Together:
    """Jobs whose rows are one run of the model."""

    __slots__ = ("_arrays", "_compute_ns", "_feeds", "_jobs", "_plan", "_requests", "_started_ns", "_unavailable")

    def __init__(self, jobs: Sequence[InferenceJob], plan: RowPlan) -> None:
        self._jobs, self._plan = jobs, plan
        self._requests = [job.feeds for job in jobs]
        self._feeds = plan.join(self._requests)
        self._arrays: Sequence[NDArray[Any]] = ()
        self._unavailable: UnavailableModelError | None = None
        self._started_ns = self._compute_ns = 0

    def run(self) -> None:
        first, deadline = self._jobs[0], _latest(job.deadline for job in self._jobs)
        self._started_ns = time.perf_counter_ns()
        try:
            self._arrays = first.model.run(self._feeds, first.outputs, deadline=deadline)
        except UnavailableModelError as error:
            # No request is the cause: each of them alone would wait for the same silence, one after the other.
            self._unavailable = error
        self._compute_ns = time.perf_counter_ns() - self._started_ns

    def results(self) -> Sequence[InferenceRun]:
        started_ns, compute_ns, share = self._started_ns, self._compute_ns, 1.0 / len(self._jobs)
        if self._unavailable is not None:
            return [InferenceRun((), started_ns, compute_ns, share, self._unavailable) for _ in self._jobs]
        outputs = self._jobs[0].outputs
        together = dict(zip(outputs, self._arrays, strict=True))
        parts = self._plan.part(self._requests, outputs, together)
        return [InferenceRun(part, started_ns, compute_ns, share) for part in parts]


def _latest(deadlines: Iterable[float | None]) -> float | None:
    """When nobody waits any more."""
    latest = max(math.inf if deadline is None else deadline for deadline in deadlines)
    return None if latest == math.inf else latest
