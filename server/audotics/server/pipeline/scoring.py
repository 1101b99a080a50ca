"""The neural models over rows of many requests: scoring jobs go in, weighted components come out.

`NeuralScoring` is the workload of the row batcher: NCF and hybrid run once each for all jobs of a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.hybrid import HybridInputs
from audotics.server.batching.workload import Work
from audotics.server.errors import DeadlineError
from audotics.server.pipeline.patience import patience
from audotics.server.pipeline.signals import RowSignals
from audotics.server.pipeline.slate import Slate
from audotics.server.repository.parts import HybridPart, NcfPairs, NcfPart, Weighing
from audotics.server.repository.snapshot import Snapshot
from audotics.server.runtime.model import InferenceError, UnavailableModelError
from audotics.server.types import Degradation, DegradationReason

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class ScoringJob:
    """Rows of one request. `history` (h,) and `tracks` (n,) are rows of the NCF model, empty without one.

    After `deadline`, on the clock of `time.monotonic()`, its caller does without the models.
    """

    ncf: NcfPart | None
    hybrid: HybridPart | None
    history: NDArray[np.int64]
    tracks: NDArray[np.int64]
    signals: RowSignals
    deadline: float | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, slate: Slate, *, deadline: float | None = None) -> ScoringJob:
        """The job that the snapshot's models have to do for a slate."""
        ncf = snapshot.ncf
        if ncf is None:
            nothing = np.empty(0, np.int64)
            return cls(None, snapshot.hybrid, nothing, nothing, slate.signals, deadline)
        heard = ncf.rows.to_model(slate.taste.history)
        return cls(ncf, snapshot.hybrid, heard[heard >= 0], ncf.rows.to_model(slate.rows), slate.signals, deadline)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """The components of n rows, and what the hybrid made of them, None when it took no part.

    `degraded` names the models that should have taken part.
    """

    inputs: HybridInputs
    weighing: Weighing | None
    degraded: tuple[Degradation, ...] = ()

    @classmethod
    def without_models(cls, slate: Slate, degraded: tuple[Degradation, ...] = ()) -> ScoredRows:
        """What is known of a slate when the neural models take no part; `degraded` says why they should have."""
        return cls(slate.signals.inputs(None), None, degraded)

    @classmethod
    def too_late(cls, snapshot: Snapshot, slate: Slate) -> ScoredRows:
        """As `without_models`, because the deadline leaves no time for those that the snapshot has."""
        there = [name for name, part in (("ncf", snapshot.ncf), ("hybrid", snapshot.hybrid)) if part is not None]
        return cls.without_models(slate, tuple(Degradation.late(name) for name in there))


class NeuralScoring:
    """Runs scoring jobs. A model that fails on a job that runs alone is left out of it and named in `degraded`.

    One that is late, or on another server that does not answer, is left out of all jobs at once: none of them is the
    cause, and each of them alone would wait for the same silence.
    """

    def rows(self, job: ScoringJob) -> int:
        return len(job.signals)

    def key(self, job: ScoringJob) -> Hashable:
        """Jobs of one batch share the models; parts are equal only when they are the same object."""
        return job.ncf, job.hybrid

    def split(self, job: ScoringJob, limit_rows: int) -> list[ScoringJob]:
        starts = range(0, len(job.signals), limit_rows)
        return [
            replace(
                job, tracks=job.tracks[start : start + limit_rows], signals=job.signals.part(start, start + limit_rows)
            )
            for start in starts
        ]

    def join(self, results: Sequence[ScoredRows]) -> ScoredRows:
        """When the hybrid left out a piece, it counts as left out of all: its scores compare with no others."""
        inputs = _stack([result.inputs for result in results])
        degraded = tuple(dict.fromkeys(entry for result in results for entry in result.degraded))
        weighings = [result.weighing for result in results if result.weighing is not None]
        return ScoredRows(inputs, Weighing.join(weighings) if len(weighings) == len(results) else None, degraded)

    def assemble(self, jobs: Sequence[ScoringJob]) -> Work[ScoredRows]:
        return _Scoring(jobs)


class _Scoring:
    """Jobs of one batch."""

    def __init__(self, jobs: Sequence[ScoringJob]) -> None:
        ncf = jobs[0].ncf
        self._jobs = jobs
        self._pairs: NcfPairs | None = None
        if ncf is not None and any(len(job.history) for job in jobs):
            self._pairs = ncf.pairs([job.history for job in jobs], [job.tracks for job in jobs])
        self._inputs: Sequence[HybridInputs] = ()
        self._weighing: Weighing | None = None
        self._missed: tuple[Degradation, ...] = ()
        self._gone: tuple[Degradation, ...] = ()

    def run(self) -> None:
        """Raises InferenceError only for several jobs, so that the batcher tries each alone."""
        jobs, deadline = self._jobs, _latest(self._jobs)
        logits = self._logits(deadline)
        self._inputs = [job.signals.inputs(column) for job, column in zip(jobs, logits, strict=True)]
        hybrid = jobs[0].hybrid
        if hybrid is None:
            return
        try:
            together = self._inputs[0] if len(jobs) == 1 else _stack(self._inputs)
            self._weighing = hybrid.weigh(together, deadline=patience(hybrid.model, deadline))
        except (InferenceError, DeadlineError) as error:
            _check_alone(jobs, error)
            self._gone = (_left_out("hybrid", error),)

    def _logits(self, deadline: float | None) -> Sequence[NDArray[np.float32] | None]:
        """Of each job's rows; None where NCF takes no part."""
        pairs = self._pairs
        if pairs is not None:
            try:
                return pairs.part(pairs.logits(deadline=patience(pairs.model, deadline)))
            except (InferenceError, DeadlineError) as error:
                _check_alone(self._jobs, error)
                self._missed = (_left_out("ncf", error),)
        return [None] * len(self._jobs)

    def results(self) -> list[ScoredRows]:
        ends = list(accumulate(len(job.signals) for job in self._jobs))
        return [
            ScoredRows(
                inputs,
                None if self._weighing is None else self._weighing.part(start, end),
                (*(self._missed if len(job.history) else ()), *self._gone),
            )
            for job, inputs, start, end in zip(self._jobs, self._inputs, [0, *ends[:-1]], ends, strict=True)
        ]


def needs_models(snapshot: Snapshot, slate: Slate) -> bool:
    """Whether there are rows to score and models to score them."""
    return len(slate.rows) > 0 and (snapshot.ncf is not None or snapshot.hybrid is not None)


def _check_alone(jobs: Sequence[ScoringJob], error: InferenceError | DeadlineError) -> None:
    """Raise the error where one of several jobs may be its cause."""
    if len(jobs) > 1 and not isinstance(error, UnavailableModelError | DeadlineError):
        raise error


def _left_out(part: str, error: InferenceError | DeadlineError) -> Degradation:
    if isinstance(error, DeadlineError):
        return Degradation.late(part)
    _LOG.warning("left out of a list: %s", error, exc_info=error)
    return Degradation(part, DegradationReason.FAILED, str(error))


def _latest(jobs: Sequence[ScoringJob]) -> float | None:
    """When nobody waits any more."""
    deadlines = [job.deadline for job in jobs if job.deadline is not None]
    return max(deadlines) if len(deadlines) == len(jobs) else None


def _stack(inputs: Sequence[HybridInputs]) -> HybridInputs:
    return HybridInputs(
        np.concatenate([each.components for each in inputs]),
        np.concatenate([each.available for each in inputs]),
        np.concatenate([each.context for each in inputs]),
    )
