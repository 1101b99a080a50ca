"""The neural models over rows of many requests: scoring jobs go in, weighted components come out.

`NeuralScoring` is the workload of the row batcher: NCF and hybrid run once each for all jobs of a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.hybrid import HybridInputs
from audotics.server.errors import DeadlineError
from audotics.server.pipeline.patience import patience
from audotics.server.pipeline.signals import RowSignals
from audotics.server.pipeline.slate import Slate
from audotics.server.repository.parts import HybridPart, NcfPart, Weighing
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

    def run(self, jobs: Sequence[ScoringJob]) -> list[ScoredRows]:
        """Blocking. Raises InferenceError only for several jobs, so that the batcher tries each alone."""
        deadline = _latest(jobs)
        missed: tuple[Degradation, ...] = ()
        logits: Sequence[NDArray[np.float32] | None] = [None] * len(jobs)
        ncf, hybrid = jobs[0].ncf, jobs[0].hybrid
        if ncf is not None and any(len(job.history) for job in jobs):
            try:
                histories, tracks = [job.history for job in jobs], [job.tracks for job in jobs]
                logits = ncf.logits(histories, tracks, deadline=patience(ncf.model, deadline))
            except (InferenceError, DeadlineError) as error:
                _check_alone(jobs, error)
                missed = (_left_out("ncf", error),)
        degraded = [missed if len(job.history) else () for job in jobs]
        inputs = [job.signals.inputs(column) for job, column in zip(jobs, logits, strict=True)]
        if hybrid is None:
            return [ScoredRows(each, None, without) for each, without in zip(inputs, degraded, strict=True)]
        try:
            together = inputs[0] if len(inputs) == 1 else _stack(inputs)
            weighing = hybrid.weigh(together, deadline=patience(hybrid.model, deadline))
        except (InferenceError, DeadlineError) as error:
            _check_alone(jobs, error)
            gone = _left_out("hybrid", error)
            return [ScoredRows(each, None, (*without, gone)) for each, without in zip(inputs, degraded, strict=True)]
        ends = np.cumsum([len(job.signals) for job in jobs]).tolist()
        return [
            ScoredRows(each, weighing.part(start, end), without)
            for each, without, start, end in zip(inputs, degraded, [0, *ends[:-1]], ends, strict=True)
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
