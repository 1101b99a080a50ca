"""Evaluation of a run: its trained models and the baselines on the same split go in, a table of metrics comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.baselines import ease, history_matrix, item_knn, popularity
from audotics.evaluation.ranking import Histories, Scorer
from audotics.features.hybrid import content_scores
from audotics.training.pipeline import content_vectors, load_ensemble, load_gate
from audotics.training.progress import Progress
from audotics.training.run import Run

BASELINE_TRACKS = 20_000
"""Item k-NN and EASE hold a dense matrix of all pairs of tracks; beyond this many they are left out."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`protocol` says how it was measured; `rows` maps each model to its metrics, baselines first."""

    protocol: dict[str, Any]
    rows: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        rows = [{"model": model, "metrics": metrics} for model, metrics in self.rows.items()]
        return {"protocol": self.protocol, "rows": rows}


def compare(run: Run, *, progress: Progress) -> Comparison:
    """Rank every track for each test listener with every model, and note the trained kinds' metrics in the run."""
    split = run.split()
    matrix = history_matrix(split.training, len(split.tracks))
    scorers: dict[str, Callable[[], Scorer]] = {"popularity": lambda: popularity(matrix)}
    if len(split.tracks) <= BASELINE_TRACKS:
        scorers |= {"item k-NN": lambda: item_knn(matrix), "EASE": lambda: ease(matrix)}
    ensemble = load_ensemble(run, split, selection=False)
    if ensemble.collaborative is not None:
        model = ensemble.collaborative
        scorers["collaborative"] = lambda: model.scores
    if ensemble.content_vectors is not None:
        scorers["content"] = lambda: _nearest(content_vectors(run))
    if ensemble.ncf is not None:
        network = ensemble.ncf
        scorers["ncf"] = lambda: network.scores
    if "hybrid" in run.kinds:
        gate = load_gate(run)
        scorers["hybrid"] = lambda: lambda histories: ensemble.scores(gate, histories)
    rows = {}
    with progress.stage("evaluate", len(scorers) * len(split.test.targets)) as stage:
        for name, build in scorers.items():
            rows[name] = split.test.evaluate(build(), on_batch=partial(stage.advance, note=name))
            if name in run.kinds:
                run.record_metrics(name, rows[name])
    protocol = {
        "dataset": run.name,
        "split": f"leave one out ({run.options['split']}), {run.options['k_core']}-core, seed {run.options['seed']}",
        "ranking": f"full, {len(split.tracks)} tracks without those heard in training",
        "listeners": len(split.test.targets),
    }
    return Comparison(protocol, rows)


def _nearest(vectors: NDArray[np.float32]) -> Scorer:
    def score(histories: Histories) -> NDArray[np.float32]:
        return np.stack([np.nan_to_num(content_scores(vectors, vectors[history])) for history in histories])

    return score
