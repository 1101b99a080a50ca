"""Inference on any loaded model: named arrays go in, the model's outputs come out.

Requests for one version run together in the row batcher where the model's rows are independent; see `joining`. Short
runs happen on the event loop, where the way to a thread and back would take longer than the model: a request that is
alone, and brief ones together with those that come right behind them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

from numpy.typing import NDArray

from audotics.server.batching.batcher import BatchLimits, RowBatcher
from audotics.server.batching.gathering import Gathering
from audotics.server.batching.workload import work_on
from audotics.server.errors import NotReadyError, TooLargeError
from audotics.server.repository.registry import Registry
from audotics.server.runtime.model import InferenceError, Model, UnavailableModelError, UnfinishedRunError
from audotics.server.services.far import FarBatchers
from audotics.server.services.inference_workload import InferenceJob, InferenceRun, InferenceWorkload
from audotics.server.services.pace import Pace
from audotics.server.services.signature import Known, Signature
from audotics.server.services.statistics import Statistics
from audotics.server.services.tensors import TensorError
from audotics.server.types import ANYBODY, Caller


@dataclass(frozen=True, slots=True, eq=False)
class InferQuery:
    """`feeds` by input name; no `outputs` means all. `deadline` is on the clock of `time.monotonic()`.

    `known` is what of the feeds fits the signature, so that it need not be looked at.
    """

    feeds: Mapping[str, NDArray[Any]]
    outputs: Sequence[str] = ()
    deadline: float | None = None
    caller: Caller = ANYBODY
    known: Known = Known.NOTHING


_MOST_BRIEF: Final = 8
"""So many brief runs may hold the event loop at a time."""


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
        self._workload = InferenceWorkload()
        limits = BatchLimits() if limits is None else limits
        self._batcher: RowBatcher[InferenceJob, InferenceRun] = RowBatcher(
            self._workload, executor=executor, limits=limits
        )
        self._gathering = Gathering(self._workload, most=_MOST_BRIEF, counts=self._batcher.counts)
        self._far = FarBatchers[InferenceJob, InferenceRun](self._workload, limits=limits)
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
    def batcher(self) -> RowBatcher[InferenceJob, InferenceRun]:
        """What runs the rows of requests together."""
        return self._batcher

    @property
    def far(self) -> FarBatchers[InferenceJob, InferenceRun]:
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
            outputs = signature.check(query.feeds, query.outputs, known=query.known)
            unknown = query.known < Known.TENSORS
            if unknown and (nothing := self._nothing_to_run(signature, query.feeds, outputs)) is not None:
                elapsed_ns = time.perf_counter_ns() - arrived_ns
                statistics.answered(total_ns=elapsed_ns, queue_ns=0, compute_ns=0, share=0.0)
                return Inferred(outputs, nothing)
            ran = await self._run(
                InferenceJob(signature, callee.model, query.feeds, outputs, query.deadline), callee.pace, query.caller
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

    def _nothing_to_run(
        self, signature: Signature, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Sequence[NDArray[Any]] | None:
        """The answer to a request without rows; None where there is something to run. Raises TooLargeError."""
        size_bytes = signature.answer_bytes(feeds, outputs)
        if size_bytes is not None and size_bytes > self._most_answer_bytes:
            raise TooLargeError(
                f"the answer of model '{signature.name}' would have {size_bytes} bytes, and a message may have "
                f"{self._most_answer_bytes} (max_message_mib); send fewer rows, or ask for fewer outputs"
            )
        return signature.nothing(outputs) if size_bytes == 0 else None

    async def _run(self, job: InferenceJob, pace: Pace, caller: Caller) -> InferenceRun:
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

    async def _run_in_company(self, job: InferenceJob, pace: Pace, caller: Caller, *, short: bool) -> InferenceRun:
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
