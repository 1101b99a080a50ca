"""Evaluation of a run: its trained models and the baselines on the same split go in, their results come out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.assessment import Assessment, assess
from audotics.evaluation.baselines import ease, history_matrix, item_knn, popularity
from audotics.evaluation.lists import Catalogue
from audotics.evaluation.ranking import Scorer
from audotics.evaluation.results import Comparison, ModelResult
from audotics.evaluation.significance import LEVEL, RESAMPLES, mean_intervals, paired_ratios
from audotics.training.progress import Progress
from audotics.training.run import Run, Split
from audotics.training.scorers import core_scorers

BASELINE_TRACKS = 20_000
"""Item k-NN and EASE hold a dense matrix of all pairs of tracks; beyond this many they are left out."""


def compare(run: Run, *, k: int = 10, baseline_tracks: int = BASELINE_TRACKS, progress: Progress) -> Comparison:
    """Rank every track for each test listener with every model, and note the trained kinds' metrics in the run.

    NDCG@k stands beside that of EASE, or, where EASE is left out, of the strongest baseline. Beyond `baseline_tracks`
    tracks only popularity is left of the baselines.
    """
    split = run.split()
    baselines = _baselines(split, baseline_tracks)
    scorers = baselines | core_scorers(run, split)
    catalogue = Catalogue.of(split.tracks, n_listeners=len(split.training))
    assessed: dict[str, Assessment] = {}
    with progress.stage("evaluate", len(scorers) * len(split.test.targets)) as stage:
        for name, build in scorers.items():
            assessed[name] = assess(build(), split.test, k=k, on_batch=partial(stage.advance, note=name))
    gains = {name: assessment.ndcg(k) for name, assessment in assessed.items()}
    intervals, baseline = mean_intervals(gains), _reference(gains, tuple(baselines))
    ratios = paired_ratios(gains, baseline=baseline) if baseline is not None else {}
    results = {
        name: ModelResult(
            assessment.metrics(k, catalogue),
            intervals[name],
            ratios.get(name),
            assessment.bias(k, split.test, split.tracks.plays),
            assessment.reliability(),
        )
        for name, assessment in assessed.items()
    }
    for kind in results.keys() & run.kinds.keys():
        run.record_metrics(kind, results[kind].metrics)
    protocol = {
        "dataset": run.name,
        "split": f"leave one out ({run.options['split']}), {run.options['k_core']}-core, seed {run.options['seed']}",
        "ranking": f"full, {len(split.tracks)} tracks without those heard in training",
        "listeners": len(split.test.targets),
        "intervals": f"{LEVEL:.0%}, paired bootstrap over listeners, {RESAMPLES} resamples",
    }
    return Comparison(protocol, k, baseline, results)


def _baselines(split: Split, most_tracks: int) -> dict[str, Callable[[], Scorer]]:
    """The baselines by name, fitted on the training histories when they are called for."""
    matrix = history_matrix(split.training, len(split.tracks))
    scorers: dict[str, Callable[[], Scorer]] = {"popularity": lambda: popularity(matrix)}
    if len(split.tracks) <= most_tracks:
        scorers |= {"item k-NN": lambda: item_knn(matrix), "EASE": lambda: ease(matrix)}
    return scorers


def _reference(gains: dict[str, NDArray[np.float64]], baselines: tuple[str, ...]) -> str | None:
    """EASE, or else the baseline with the highest mean; None where that is 0."""
    name = "EASE" if "EASE" in baselines else max(baselines, key=lambda name: float(gains[name].mean()))
    return name if gains[name].any() else None
