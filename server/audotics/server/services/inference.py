"""Inference on any loaded model: named arrays go in, the model's outputs come out.

Requests for one version run together in the row batcher where the model's rows are independent; see `joining`. Short
runs happen on the event loop, where the way to a thread and back would take longer than the model: a request that is
alone, and brief ones together with those that come right behind them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from audotics.server.batching.batcher import BatchLimits, RowBatcher
from audotics.server.batching.gathering import Gathering
from audotics.server.batching.workload import Work, work_on
from audotics.server.errors import NotReadyError, TooLargeError
from audotics.server.repository.registry import Registry
from audotics.server.runtime.model import InferenceError, Model, UnavailableModelError, UnfinishedRunError
from audotics.server.services.far import FarBatchers
from audotics.server.services.joining import RowPlan
from audotics.server.services.signature import Signature
from audotics.server.services.statistics import Statistics
from audotics.server.services.tensors import TensorError
from audotics.server.types import ANYBODY, Caller


@dataclass(frozen=True, slots=True, eq=False)
class InferQuery:
    """`feeds` by input name; no `outputs` means all. `deadline` is on the clock of `time.monotonic()`.

    `checked` says that names, types and shapes are known to fit the signature.
    """

    feeds: Mapping[str, NDArray[Any]]
    outputs: Sequence[str] = ()
    deadline: float | None = None
    caller: Caller = ANYBODY
    checked: bool = False


_ROW_BYTES: Final = 1024
"""On its way to another server a row counts as one for each so many bytes: a batch of 4,096 stays below the 4 MiB that
gRPC takes where nobody says otherwise."""

_SHORT_NS: Final = 500_000
"""A run that takes no longer may hold the event loop while nobody else waits for it."""
_BRIEF_NS: Final = 200_000
"""A run that takes no longer may always hold it, with a few others."""

_FIRST_PAUSE_NS: Final = 1_000_000_000

_MOST_BRIEF: Final = 8
"""So many brief runs may hold the event loop at a time."""


@dataclass(slots=True, eq=False)
class Pace:
    """Up to how many elements of its inputs a model is short or brief, by what was measured.

    One that had to be ended on the event loop stays away from it for a while, and each time for twice as long.
    """

    short: int = 0
    brief: int = 0
    barred_until_ns: int = 0
    _pause_ns: int = _FIRST_PAUSE_NS

    def ended(self) -> None:
        """Note a run that had to be ended."""
        self.short = self.brief = 0
        self.barred_until_ns = time.perf_counter_ns() + self._pause_ns
        self._pause_ns *= 2

    def note(self, elements: int, compute_ns: int) -> None:
        if self.barred_until_ns:
            if time.perf_counter_ns() < self.barred_until_ns:
                return
            self.barred_until_ns = 0
        self.short = _adjusted(self.short, elements, fast=compute_ns <= _SHORT_NS)
        self.brief = _adjusted(self.brief, elements, fast=compute_ns <= _BRIEF_NS)


def _adjusted(known: int, elements: int, *, fast: bool) -> int:
    """Up to how many elements runs are fast, after one of `elements` that was or was not."""
    if fast:
        return max(known, elements)
    return elements // 2 if elements <= known else known


@dataclass(frozen=True, slots=True, eq=False)
class Callee:
    """A loaded version. Whoever holds it can run it to the end, also after it was unloaded."""

    signature: Signature
    model: Model
    pace: Pace


@dataclass(frozen=True, slots=True, eq=False)
class Inferred:
    """The outputs that were asked for, in that order."""

    outputs: tuple[str, ...]
    arrays: Sequence[NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    signature: Signature
    model: Model
    feeds: Mapping[str, NDArray[Any]]
    outputs: tuple[str, ...]
    deadline: float | None


@dataclass(frozen=True, slots=True, eq=False)
class _Ran:
    """Outputs of a job; when its run began on the clock of `perf_counter_ns`, how long it took, who shared it.

    With `unavailable` there are none: the server of the model did not answer.
    """

    arrays: Sequence[NDArray[Any]]
    started_ns: int
    compute_ns: int
    share: float
    unavailable: UnavailableModelError | None = None


class _Inference:
    """The row batcher's workload."""

    def rows(self, job: _Job) -> int:
        plan = job.signature.plan
        if plan is None:
            return 1
        rows = plan.weight(job.feeds)
        return max(rows, sum(array.nbytes for array in job.feeds.values()) // _ROW_BYTES) if job.model.waits else rows

    def key(self, job: _Job) -> Hashable:
        plan = job.signature.plan
        # Models are equal only when they are the same object. Without a plan a job is equal to no other.
        return job if plan is None else (job.model, job.outputs, plan.shapes(job.feeds))

    def split(self, job: _Job, limit_rows: int) -> Sequence[_Job]:
        plan = job.signature.plan
        if plan is None:
            return [job]
        return [replace(job, feeds=feeds) for feeds in plan.cut(job.feeds, limit_rows, outputs=job.outputs)]

    def join(self, results: Sequence[_Ran]) -> _Ran:
        failed = next((result for result in results if result.unavailable is not None), None)
        if failed is not None or len(results) == 1:
            return failed or results[0]
        arrays = [np.concatenate(parts) for parts in zip(*(result.arrays for result in results), strict=True)]
        compute_ns, share = sum(result.compute_ns for result in results), sum(result.share for result in results)
        return _Ran(arrays, min(result.started_ns for result in results), compute_ns, share)

    def assemble(self, jobs: Sequence[_Job]) -> Work[_Ran]:
        plan = jobs[0].signature.plan
        return _Alone(jobs[0]) if len(jobs) == 1 or plan is None else _Together(jobs, plan)


class _Alone:
    """One job, as it is."""

    __slots__ = ("_job", "_ran")

    def __init__(self, job: _Job) -> None:
        self._job = job

    def run(self) -> None:
        job, started_ns = self._job, time.perf_counter_ns()
        arrays = job.model.run(job.feeds, job.outputs, deadline=job.deadline)
        self._ran = _Ran(arrays, started_ns, time.perf_counter_ns() - started_ns, 1.0)

    def results(self) -> Sequence[_Ran]:
        return (self._ran,)


class _Together:
    """Jobs whose rows are one run of the model."""

    __slots__ = ("_arrays", "_compute_ns", "_feeds", "_jobs", "_plan", "_requests", "_started_ns", "_unavailable")

    def __init__(self, jobs: Sequence[_Job], plan: RowPlan) -> None:
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

    def results(self) -> Sequence[_Ran]:
        started_ns, compute_ns, share = self._started_ns, self._compute_ns, 1.0 / len(self._jobs)
        if self._unavailable is not None:
            return [_Ran((), started_ns, compute_ns, share, self._unavailable) for _ in self._jobs]
        outputs = self._jobs[0].outputs
        together = dict(zip(outputs, self._arrays, strict=True))
        parts = self._plan.part(self._requests, outputs, together)
        return [_Ran(part, started_ns, compute_ns, share) for part in parts]


def _latest(deadlines: Iterable[float | None]) -> float | None:
    """When nobody waits any more."""
    latest = max(math.inf if deadline is None else deadline for deadline in deadlines)
    return None if latest == math.inf else latest


class InferenceService:
    """Runs loaded models on tensors. Use it as an async context manager."""

    def __init__(
        self,
        *,
        registry: Registry,
        executor: Executor,
        limits: BatchLimits | None = None,
        most_answer_bytes: float = math.inf,
    ) -> None:
        """What would take more than `most_answer_bytes` to answer is not computed."""
        self._registry = registry
        self._most_answer_bytes = most_answer_bytes
        self._workload = _Inference()
        limits = BatchLimits() if limits is None else limits
        self._batcher: RowBatcher[_Job, _Ran] = RowBatcher(self._workload, executor=executor, limits=limits)
        self._gathering = Gathering(self._workload, most=_MOST_BRIEF, counts=self._batcher.counts)
        self._far: FarBatchers[_Job, _Ran] = FarBatchers(self._workload, limits=limits)
        self._signatures: WeakKeyDictionary[Model, tuple[Signature, Pace]] = WeakKeyDictionary()
        self._under_way = 0
        self.statistics: Final = Statistics()

    async def __aenter__(self) -> Self:
        await self._batcher.__aenter__()
        await self._far.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._far.__aexit__(kind, error, trace)
        await self._batcher.__aexit__(kind, error, trace)

    @property
    def batcher(self) -> RowBatcher[_Job, _Ran]:
        """What runs the rows of requests together."""
        return self._batcher

    @property
    def far(self) -> FarBatchers[_Job, _Ran]:
        """The same for models on other servers."""
        return self._far

    @property
    def ready(self) -> bool:
        """Whether lists can be made, which needs a catalogue."""
        try:
            return self._registry.snapshot is not None
        except NotReadyError:
            return False

    def find(self, name: str, *, version: int | None = None, label: str | None = None) -> Callee:
        """A loaded version, by default the one that serves. Raises NotFoundError or NotReadyError."""
        loaded = self._registry.loaded(name, version=version, label=label)
        known = self._signatures.get(loaded.model)
        if known is None:
            known = self._signatures[loaded.model] = Signature.of(name, loaded), Pace()
        signature, pace = known
        return Callee(signature, loaded.model, pace)

    async def infer(self, callee: Callee, query: InferQuery) -> Inferred:
        """Run a model.

        Raises TensorError, TooLargeError, OverloadedError, or DeadlineError as soon as the deadline passes.
        """
        signature = callee.signature
        statistics = self.statistics.of(signature.name, signature.version)
        arrived_ns = time.perf_counter_ns()
        try:
            outputs = signature.check(query.feeds, query.outputs, known=query.checked)
            size_bytes = signature.answer_bytes(query.feeds, outputs)
            if size_bytes is not None and size_bytes > self._most_answer_bytes:
                raise TooLargeError(
                    f"the answer of model '{signature.name}' would have {size_bytes} bytes, and a message may have "
                    f"{self._most_answer_bytes} (max_message_mib); send fewer rows, or ask for fewer outputs"
                )
            if size_bytes == 0 and (nothing := signature.nothing(outputs)) is not None:
                elapsed_ns = time.perf_counter_ns() - arrived_ns
                statistics.answered(total_ns=elapsed_ns, queue_ns=0, compute_ns=0, share=0.0)
                return Inferred(outputs, nothing)
            ran = await self._run(
                _Job(signature, callee.model, query.feeds, outputs, query.deadline), callee.pace, query.caller
            )
        except (UnavailableModelError, UnfinishedRunError):
            statistics.failed(time.perf_counter_ns() - arrived_ns)
            raise
        except InferenceError as error:
            statistics.failed(time.perf_counter_ns() - arrived_ns)
            raise TensorError(
                f"model '{signature.name}' fails on these inputs: a value may be outside its range, such as the "
                "number of a row that it does not have",
                field="inputs",
            ) from error
        except BaseException:
            statistics.failed(time.perf_counter_ns() - arrived_ns)
            raise
        statistics.answered(
            total_ns=time.perf_counter_ns() - arrived_ns,
            queue_ns=max(0, ran.started_ns - arrived_ns),
            compute_ns=ran.compute_ns,
            share=ran.share,
        )
        return Inferred(outputs, ran.arrays)

    async def _run(self, job: _Job, pace: Pace, caller: Caller) -> _Ran:
        if job.model.waits or not job.model.ends:
            ran = await (await self._far.of(job.model)).submit(job, deadline=job.deadline, caller=caller)
            if ran.unavailable is not None:
                raise ran.unavailable
            return ran
        elements = sum(array.size for array in job.feeds.values())
        if elements <= pace.brief:
            try:
                ran = await self._gathering.submit(job, deadline=job.deadline, caller=caller)
            except UnfinishedRunError:
                pace.ended()
                ran = await self._run_in_company(job, pace, caller, short=False)
        else:
            ran = await self._run_in_company(job, pace, caller, short=elements <= pace.short)
        if ran.share == 1.0:
            pace.note(elements, ran.compute_ns)
        return ran

    async def _run_in_company(self, job: _Job, pace: Pace, caller: Caller, *, short: bool) -> _Ran:
        """In the batcher, unless a `short` job turns out to be alone, and to be short."""
        self._under_way += 1
        try:
            await asyncio.sleep(0)  # whoever came in the same turn of the loop counts as under way after it
            if short and self._under_way == 1:
                self._batcher.counts.alone += 1
                try:
                    return work_on(self._workload, [job])[0]
                except UnfinishedRunError:
                    pace.ended()
            return await self._batcher.submit(job, deadline=job.deadline, caller=caller)
        finally:
            self._under_way -= 1
