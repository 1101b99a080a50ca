"""Training of the genre classifier: labelled tracks go in, a fitted model and a record of it come out.

Hyper-parameters are chosen by the log loss on inner folds of the tracks that it is given, and so are the weights with
which the experts' scores are added up; so a cross-validation around it is nested, and its test folds choose nothing.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from audotics.data.labelled import LabelledTracks
from audotics.evaluation.classification import assess, stratified_folds
from audotics.models.boosted_trees import BoostedTrees
from audotics.models.genre import EXPERTS, Experts, GenreModel, GenreOptions, pooled
from audotics.training.checkpoints import CheckpointError
from audotics.training.classifiers import baselines, compare, inner_folds
from audotics.training.genre_search import choose, fit_pool, points_of, preprocess
from audotics.training.progress import Progress, Quiet

_SEARCH_FILE: Final = "search.json"


def train_genre(
    data: LabelledTracks,
    options: GenreOptions,
    *,
    seed: int,
    checkpoints: Path,
    resume: bool,
    progress: Progress,
) -> tuple[GenreModel, dict[str, Any]]:
    """Fit the classifier. With `resume`, a search that was finished in `checkpoints` is not made again.

    Raises DataError when a class is too small for two folds, and CheckpointError when a checkpoint cannot be used.
    """
    checkpoint = _Search(checkpoints, {"options": asdict(options), "seed": seed, "data": data.fingerprint()})
    chosen = checkpoint.read() if resume else None
    if chosen is not None:
        progress.say("genre: resumed after the search")
    elif options.search:
        chosen = choose(data, options, seed=seed, progress=progress)
        checkpoint.write(chosen)
    else:
        chosen = options
    folds = stratified_folds(data, folds=inner_folds(data), seed=seed)
    with progress.stage("genre", len(folds) + 1) as stage:
        with_trees = bool(chosen.rounds) and len(data) > chosen.anchors
        names = EXPERTS if with_trees else EXPERTS[:-1]
        scores = np.zeros((len(names), len(data), len(data.class_names)))
        equal = np.ones(len(names))
        for fold in folds:
            scores[:, fold.test] = _fit(data.take(fold.train), chosen, equal, seed=seed).scores(data.x[fold.test])
            stage.advance(1)
        pool, log_loss = fit_pool(scores, data.labels)
        held_out = assess(softmax(pooled(scores, pool), axis=1), data.labels, data.class_names)
        model = _fit(data, chosen, pool, seed=seed)
        stage.advance(1, f"validation {held_out.accuracy:.3f}")
    record = {
        "options": asdict(chosen),
        "fit": {"pool": dict(zip(names, pool.tolist(), strict=True)), "log_loss": log_loss},
        "validation": held_out.metrics,
    }
    return model, record


def cross_validate(
    data: LabelledTracks, options: GenreOptions, *, folds: int = 10, seed: int, progress: Progress
) -> list[dict[str, Any]]:
    """Rows of metrics by model: simple and strong baselines, and ours, on the same stratified folds."""

    def ours(train: LabelledTracks, test: LabelledTracks, fold_seed: int) -> NDArray[np.float32]:
        with tempfile.TemporaryDirectory() as folder:
            model, _ = train_genre(
                train, options, seed=fold_seed, checkpoints=Path(folder), resume=False, progress=Quiet()
            )
        return model.probabilities(test.x)

    return compare(data, {**baselines(len(data)), "genre": ours}, folds=folds, seed=seed, progress=progress)


def _fit(data: LabelledTracks, options: GenreOptions, pool: NDArray[np.float64], *, seed: int) -> GenreModel:
    """The classifier with the experts that `pool` has weights for."""
    n_classes = len(data.class_names)
    preprocessing = preprocess(data, options)
    experts = Experts.fit(points_of(preprocessing, data.x), data.labels, n_classes, options, seed=seed)
    trees = (
        BoostedTrees.fit(data.x, data.labels, n_classes, rounds=options.rounds, seed=seed)
        if len(pool) == len(EXPERTS)
        else None
    )
    return GenreModel(data.feature_names, data.class_names, preprocessing, experts, pool, trees)


class _Search:
    """The outcome of a search in a folder, with what it was made for."""

    def __init__(self, folder: Path, made_for: dict[str, Any]) -> None:
        self.path, self.made_for = folder / _SEARCH_FILE, made_for

    def read(self) -> GenreOptions | None:
        """What was chosen; None where nothing was, or for something else."""
        if not self.path.is_file():
            return None
        try:
            kept = json.loads(self.path.read_text("utf-8"))
            return GenreOptions(**kept["chosen"]) if kept["made_for"] == self.made_for else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{self.path}: is not a record of a search; train without --resume") from error

    def write(self, chosen: GenreOptions) -> None:
        partial = self.path.with_suffix(".partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({"made_for": self.made_for, "chosen": asdict(chosen)}, indent=2), "utf-8")
            partial.replace(self.path)
        except OSError as error:
            raise CheckpointError(
                f"{self.path}: cannot write ({error.strerror}); free some space, or choose another --output"
            ) from error
