"""The auto-tuner: vectors, held-out queries and a goal go in, the cheapest index that reaches it comes out, measured.

Half of the queries choose, the other half say how much the chosen index finds. Where they find less than the goal, the
search is widened until they do not. Cost is processor time on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.exact import are_comparable, exact_search, recall_of
from audotics.bundle.indexes.settings import IndexKind, IndexSettings, Metric, Recall
from audotics.bundle.indexes.stored import StoredIndex, unit_length
from audotics.exporters.errors import ExportError
from audotics.exporters.indexing.goal import Goal, structures, ways_to_search
from audotics.training.progress import Progress

MAX_QUERIES: Final = 256
_TIMED_ROUNDS: Final = 3
_FEW_QUERIES: Final = 8

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to search and what came of it. `seconds` is for one query; None when the recall was not reached."""

    settings: IndexSettings
    recall: float
    seconds: float | None
    bytes_per_vector: float
    outcome: str


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """The chosen index, which carries its settings, its queries and its recall, and everything that was tried."""

    index: StoredIndex
    trials: tuple[Trial, ...]


def tune(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    goal: Goal,
    *,
    progress: Progress,
    title: str,
    threads: int = 1,
    clock: Clock = time.thread_time,
) -> Tuned:
    """Build and measure what `goal` allows over `vectors` (n, d) with `queries` (q, d), both float32.

    Raises ExportError when there are no vectors or queries, or when no kind that was asked for reaches the recall.
    """
    if not len(vectors) or not len(queries) or vectors.shape[1] != queries.shape[1]:
        raise ExportError(f"{title}: vectors {vectors.shape} cannot be searched with queries {queries.shape}")
    if goal.metric is Metric.COSINE:
        vectors, queries = unit_length(vectors), unit_length(queries)
    if not are_comparable(vectors) or not are_comparable(queries):
        raise ExportError(f"{title}: a vector or a query has a number that is none, or too large to compare")
    judge = _Judge.of(vectors, queries[:MAX_QUERIES], min(goal.k, len(vectors)), clock)
    tried: list[Trial] = []
    unfit: set[str] = set()
    best: tuple[float, StoredIndex, tuple[IndexSettings, ...]] | None = None
    asked = structures(vectors, goal)
    with progress.stage(title, len(vectors) * len(asked)) as stage:
        for structure in asked:
            if not goal.fits_memory(structure, *vectors.shape):
                size = structure.bytes_per_vector(vectors.shape[1])
                tried.append(Trial(structure, 0.0, None, size, f"takes over {goal.memory_ratio:g} × the vectors"))
                stage.advance(len(vectors))
                continue
            try:
                index = build_index(vectors, structure, threads=threads, advance=stage.advance)
            except ValueError as error:
                unfit.add(str(error))
                tried.append(Trial(structure, 0.0, None, structure.bytes_per_vector(vectors.shape[1]), str(error)))
                stage.advance(len(vectors))
                continue
            for ladder in ways_to_search(structure, len(vectors)):
                step, recall = judge.first_that_reaches(index, ladder, goal.recall)
                size = ladder[step].bytes_per_vector(vectors.shape[1])
                if recall < goal.recall:
                    tried.append(Trial(ladder[step], recall, None, size, "finds too little"))
                    continue
                seconds = judge.seconds(replace(index, settings=ladder[step]), batch=goal.batch)
                tried.append(Trial(ladder[step], recall, seconds, size, ""))
                if best is None or seconds < best[0]:
                    best = seconds, index, ladder[step:]
    if best is None:
        highest = max((trial.recall for trial in tried), default=0.0)
        unbuilt = "".join(f"; {reason}" for reason in sorted(unfit))
        raise ExportError(
            f"{title}: no index of {', '.join(goal.kinds_for(len(vectors)))} reaches recall@{judge.k} {goal.recall:g} "
            f"within {goal.memory_ratio:g} × the vectors' memory; the best found {highest:.3f}{unbuilt}. Ask for less, "
            f"or allow {IndexKind.FLAT}"
        )
    _, index, ladder = best
    chosen, checked = judge.confirmed(index, ladder, goal.recall)
    trials = tuple(_chosen(trial, chosen=ladder[0]) for trial in tried)
    measured = Recall(judge.k, goal.recall, checked, len(judge.checking))
    return Tuned(replace(index, settings=chosen, recall=measured, queries=judge.checking), trials)


def _chosen(trial: Trial, *, chosen: IndexSettings) -> Trial:
    if trial.settings == chosen:
        return replace(trial, outcome="chosen")
    return trial if trial.outcome else replace(trial, outcome="slower")


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """Measures recall and time of searches over one set of vectors. The k-th best scores are known exactly."""

    vectors: NDArray[np.float32]
    k: int
    choosing: NDArray[np.float32]
    choosing_kth: NDArray[np.float32]
    checking: NDArray[np.float32]
    checking_kth: NDArray[np.float32]
    clock: Clock

    @classmethod
    def of(cls, vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int, clock: Clock) -> _Judge:
        queries = np.ascontiguousarray(queries, np.float32)
        kth = exact_search(queries, vectors, k)[0][:, -1]
        if len(queries) < _FEW_QUERIES:
            return cls(vectors, k, queries, kth, queries, kth, clock)
        return cls(vectors, k, queries[::2].copy(), kth[::2].copy(), queries[1::2].copy(), kth[1::2].copy(), clock)

    def first_that_reaches(
        self, index: StoredIndex, ladder: Sequence[IndexSettings], target: float
    ) -> tuple[int, float]:
        """The first step of `ladder` that finds enough, and what it finds; the last one when none does."""
        low, high = 0, len(ladder) - 1
        recall = self._recall(index, ladder[high], self.choosing, self.choosing_kth)
        if recall < target:
            return high, recall
        while low < high:
            middle = (low + high) // 2
            found = self._recall(index, ladder[middle], self.choosing, self.choosing_kth)
            if found >= target:
                high, recall = middle, found
            else:
                low = middle + 1
        return high, recall

    def confirmed(
        self, index: StoredIndex, ladder: Sequence[IndexSettings], target: float
    ) -> tuple[IndexSettings, float]:
        """The first step of `ladder` that finds enough for the queries that did not choose it, or the last one."""
        recall = 0.0
        for settings in ladder:
            recall = self._recall(index, settings, self.checking, self.checking_kth)
            if recall >= target:
                return settings, recall
        return ladder[-1], recall

    def seconds(self, index: StoredIndex, *, batch: int) -> float:
        """Processor time of one query among `batch`, the least of a few rounds."""
        rounds = []
        for _ in range(_TIMED_ROUNDS):
            started = self.clock()
            for start in range(0, len(self.choosing), batch):
                index.search(self.choosing[start : start + batch], self.k)
            rounds.append((self.clock() - started) / len(self.choosing))
        return min(rounds)

    def _recall(
        self, index: StoredIndex, settings: IndexSettings, queries: NDArray[np.float32], kth: NDArray[np.float32]
    ) -> float:
        rows = replace(index, settings=settings).search(queries, self.k)[1]
        return recall_of(rows, queries, self.vectors, kth_best=kth)
