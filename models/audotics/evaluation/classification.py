"""Evaluation of classifiers: probabilities and true classes go in, metrics and a table over folds come out.

The protocol is k folds, stratified by class, in which tracks of one group (the same recording, one artist) are never on
both sides. Predictions of all folds are put together, and each metric is taken once, over all tracks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from audotics.data.dataset import DataError
from audotics.data.labelled import LabelledTracks
from audotics.evaluation.metrics import expected_calibration_error

Probabilities = NDArray[np.floating]

Classify = Callable[[LabelledTracks, LabelledTracks, int], Probabilities]
"""Fits on the first tracks and returns the probabilities (n, classes) of the second, with a seed."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows of one fold: int64 (n_train,) and (n_test,), which share no group."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassResult:
    """Precision, recall and F1 of one class with `count` tracks; 0 where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float
    count: int


@dataclass(frozen=True, slots=True)
class ClassificationResult:
    """Metrics of one model. Precision, recall and F1 are means over classes; `ece` is that of the likeliest class."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    log_loss: float
    ece: float
    classes: dict[str, ClassResult]

    @property
    def metrics(self) -> dict[str, float]:
        names = ("accuracy", "precision", "recall", "f1", "log_loss", "ece")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        classes = {
            name: {"precision": each.precision, "recall": each.recall, "f1": each.f1, "count": each.count}
            for name, each in self.classes.items()
        }
        return {"metrics": self.metrics, "classes": classes}


def stratified_folds(data: LabelledTracks, *, folds: int, seed: int) -> list[Fold]:
    """Divide tracks into `folds` >= 2 parts with about the same share of each class, groups kept whole.

    Raises DataError when a class has fewer groups than there are folds.
    """
    name, separate = scarcest_class(data)
    if separate < folds:
        raise DataError(
            f"{data.name}: class {name!r} has {separate} tracks or groups of tracks that belong together, but {folds} "
            "folds need one each; use fewer folds, or bring more data"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return [Fold(train, test) for train, test in splitter.split(data.x, data.labels, data.groups)]


def scarcest_class(data: LabelledTracks) -> tuple[str, int]:
    """The class with the fewest groups, and how many it has."""
    counts = [len(np.unique(data.groups[data.labels == label])) for label in range(len(data.class_names))]
    scarcest = int(np.argmin(counts))
    return data.class_names[scarcest], counts[scarcest]


def out_of_fold(
    data: LabelledTracks, classify: Classify, folds: Sequence[Fold], *, seed: int, done: Callable[[], None]
) -> NDArray[np.float64]:
    """float64 (n, classes): each track's probabilities by the model that had not seen it. `done` is called a fold."""
    result = np.zeros((len(data), len(data.class_names)))
    for fold in folds:
        result[fold.test] = classify(data.take(fold.train), data.take(fold.test), seed)
        done()
    return result


def assess(
    probabilities: Probabilities, labels: NDArray[np.integer], class_names: Sequence[str]
) -> ClassificationResult:
    """Metrics of `probabilities` (n, c) for the true `labels` (n,), n >= 1."""
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    classes = {name: _class_result(predicted == column, labels == column) for column, name in enumerate(class_names)}
    own = probabilities[np.arange(len(labels)), labels]
    return ClassificationResult(
        accuracy=float(right.mean()),
        precision=float(np.mean([each.precision for each in classes.values()])),
        recall=float(np.mean([each.recall for each in classes.values()])),
        f1=float(np.mean([each.f1 for each in classes.values()])),
        log_loss=float(-np.log(np.maximum(own, 1e-12)).mean()),
        ece=expected_calibration_error(probabilities.max(axis=1), right.astype(np.float64)),
        classes=classes,
    )


def _class_result(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> ClassResult:
    hits, said, there = int((predicted & true).sum()), int(predicted.sum()), int(true.sum())
    return ClassResult(
        precision=hits / said if said else 0.0,
        recall=hits / there if there else 0.0,
        f1=2 * hits / (said + there) if said + there else 0.0,
        count=there,
    )
