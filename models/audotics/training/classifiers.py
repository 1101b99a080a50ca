"""Comparison of classifiers: labelled tracks and a way to train ours go in, a row of metrics a model comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from audotics.data.labelled import LabelledTracks
from audotics.evaluation.classification import Classify, assess, out_of_fold, scarcest_class, stratified_folds
from audotics.training.progress import Progress

SVM: Final = "svm"
SVM_TRACKS: Final = 10_000
"""Beyond as many tracks the support vector machine is left out: its time grows with their square."""

INNER_FOLDS: Final = 5

_SCORED: Final = frozenset({"accuracy", "precision", "recall", "f1"})
"""Metrics of a model whose scores are no probabilities."""


def baselines(n_tracks: int) -> dict[str, Classify]:
    """Simple and strong peers by name, with settings that are usual for them and were not tuned here."""
    models: dict[str, Classify] = {
        "majority class": _majority,
        "logistic regression": _fitted(lambda seed: _standardised(LogisticRegression(max_iter=1_000))),
        SVM: _svm,
        "boosted trees": _fitted(lambda seed: HistGradientBoostingClassifier(random_state=seed)),
    }
    return models if n_tracks <= SVM_TRACKS else {name: model for name, model in models.items() if name != SVM}


def compare(
    data: LabelledTracks, models: Mapping[str, Classify], *, folds: int, seed: int, progress: Progress
) -> list[dict[str, Any]]:
    """Rows {"model", "metrics", "classes"}: each model trained and tested on the same `folds` folds of `data`.

    Raises DataError when a class is too small for that.
    """
    divided = stratified_folds(data, folds=folds, seed=seed)
    rows = []
    for name, classify in models.items():
        with progress.stage(f"{name}, {folds} folds", folds) as stage:
            probabilities = out_of_fold(data, classify, divided, seed=seed, done=stage.advance)
        result = assess(probabilities, data.labels, data.class_names).to_json()
        if name == SVM:
            result["metrics"] = {key: value for key, value in result["metrics"].items() if key in _SCORED}
        rows.append({"model": name, **result})
    return rows


def inner_folds(data: LabelledTracks) -> int:
    """Into how many folds training data are divided to choose and calibrate; at least 2, which may be too many."""
    return max(2, min(INNER_FOLDS, scarcest_class(data)[1]))


def _majority(train: LabelledTracks, test: LabelledTracks, seed: int) -> NDArray[np.float64]:
    frequency = np.bincount(train.labels, minlength=len(train.class_names)) / len(train)
    return np.tile(frequency, (len(test), 1))


def _svm(train: LabelledTracks, test: LabelledTracks, seed: int) -> NDArray[np.float64]:
    model = _standardised(SVC(C=10.0)).fit(train.x, train.labels)
    scores = model.decision_function(test.x)
    two_columns = scores if scores.ndim == 2 else np.stack([-scores, scores], axis=1)
    result: NDArray[np.float64] = softmax(two_columns, axis=1)
    return result


def _fitted(make: Callable[[int], Any]) -> Classify:
    def classify(train: LabelledTracks, test: LabelledTracks, seed: int) -> NDArray[np.float64]:
        # Boosted trees cannot divide a column of which nothing is known; nobody can learn from it.
        known = ~np.isnan(train.x).all(axis=0)
        model = make(seed).fit(train.x[:, known], train.labels)
        result: NDArray[np.float64] = model.predict_proba(test.x[:, known])
        return result

    return classify


def _standardised(model: Any) -> Pipeline:
    return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), model)
