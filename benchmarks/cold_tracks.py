"""Tracks unseen in training: a tenth of a k-core's tracks is kept from every model, and then ranked among itself.

Listeners are those who heard one of these tracks; what else they heard is known. Nothing is known of the tracks but
what the catalogue says. The peer is k-NN on raw features: the mean cosine of standardised audio features and binary
tags to the nearest tracks of the history. Which number of neighbours is best for it is looked up on the test itself,
in its favour, and the ratios are against that one. A second peer knows the artist as well. The target is 1.5 times
the first. To popularity all these tracks are the same. With --by artists it is all tracks of a tenth of the artists.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from support.trials import K, core_of, folder_of, parser, report, run_of, training_matrix

from audotics.data.dataset import Dataset
from audotics.evaluation.baselines import content_knn, popularity, raw_features
from audotics.evaluation.metrics import ndcg
from audotics.evaluation.protocols import Trial, cold_track_trial
from audotics.evaluation.ranking import Scorer
from audotics.training.scorers import catalogue_scorers

NEIGHBOURS: Final = (1, 3, 5, 10, 20, 50, 100, 1000)
COLD_KINDS: Final = frozenset({"content", "hybrid"})


def main() -> None:
    given = parser(__doc__, fraction=0.1)
    given.add_argument(
        "--by", choices=("tracks", "artists"), default="tracks", help="what a tenth is drawn of [tracks]"
    )
    arguments = given.parse_args()
    trial = cold_track_trial(core_of(arguments), fraction=arguments.fraction, seed=arguments.seed, by=arguments.by)
    baseline, raw = _best_knn(trial, artists=False)
    with_artist, best = _best_knn(trial, artists=True)
    with folder_of(arguments) as folder:

        def train(training: Dataset) -> dict[str, Scorer]:
            run = run_of(arguments, training, Path(folder) / "run")
            models = {kind: build() for kind, build in catalogue_scorers(run).items() if kind in COLD_KINDS}
            return {"popularity": popularity(training_matrix(run)), **models}

        ranks = {baseline: raw, with_artist: best, **trial.run(train)}
    report(arguments, trial, ranks, baseline=baseline)


def _best_knn(trial: Trial, *, artists: bool) -> tuple[str, NDArray[np.float64]]:
    """The k-NN with the number of neighbours that is best on the test."""
    features = raw_features(trial.training.tracks, artists=artists)
    ranks = {n: trial.ranks(content_knn(features, neighbours=n)) for n in NEIGHBOURS}
    best = max(ranks, key=lambda n: float(ndcg(ranks[n], K).mean()))
    return f"{'k-NN, audio, tags, artist' if artists else 'k-NN, audio, tags'} ({best})", ranks[best]


if __name__ == "__main__":
    main()
