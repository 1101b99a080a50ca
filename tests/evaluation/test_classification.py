"""Metrics of classifiers against scikit-learn's, and folds that keep groups whole."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from audotics.data.dataset import DataError
from audotics.data.labelled import LabelledTracks
from audotics.evaluation.classification import assess, out_of_fold, scarcest_class, stratified_folds
from tests.labelled import clouds, labelled

NAMES = ("a", "b", "c", "d")


@pytest.mark.parametrize("seed", range(3))
def test_metrics_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 200)
    probabilities = rng.dirichlet(np.ones(4), 200) + 0.3 * np.eye(4)[labels]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    result = assess(probabilities, labels, NAMES)
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, count = metrics.precision_recall_fscore_support(labels, predicted)

    assert result.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted), abs=1e-9)
    assert result.log_loss == pytest.approx(metrics.log_loss(labels, probabilities), abs=1e-9)
    assert (result.precision, result.recall, result.f1) == pytest.approx(
        (precision.mean(), recall.mean(), f1.mean()), abs=1e-9
    )
    for place, each in enumerate(result.classes.values()):
        assert (each.precision, each.recall, each.f1, each.count) == pytest.approx(
            (precision[place], recall[place], f1[place], count[place]), abs=1e-9
        )


def test_a_class_that_is_never_said_counts_as_zero() -> None:
    result = assess(np.asarray([[1.0, 0.0], [1.0, 0.0]]), np.asarray([0, 1]), ("a", "b"))

    assert result.classes["b"].precision == result.classes["b"].recall == result.classes["b"].f1 == 0
    assert (result.accuracy, result.precision) == (0.5, 0.25)
    assert np.isfinite(result.log_loss)


def test_the_calibration_error_is_that_of_the_likeliest_class() -> None:
    labels = np.arange(100) % 10 < 7
    sure = np.tile([0.1, 0.9], (100, 1))

    assert assess(sure, labels.astype(int), ("a", "b")).ece == pytest.approx(0.2, abs=0.03)


def test_json_holds_all_metrics() -> None:
    value = assess(np.eye(2), np.asarray([0, 1]), ("a", "b")).to_json()

    assert value["metrics"] == {"accuracy": 1, "precision": 1, "recall": 1, "f1": 1, "log_loss": 0, "ece": 0}
    assert value["classes"]["a"] == {"precision": 1, "recall": 1, "f1": 1, "count": 1}


def twins() -> LabelledTracks:
    """Every track stands there twice."""
    data = clouds(each=10)
    return labelled(np.repeat(data.x, 2, axis=0), [data.class_names[label] for label in np.repeat(data.labels, 2)])


def test_folds_cover_everything_once_and_keep_groups_and_classes() -> None:
    data = twins()
    folds = stratified_folds(data, folds=5, seed=0)

    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(60))
    for fold in folds:
        assert not set(data.groups[fold.train]) & set(data.groups[fold.test])
        assert np.bincount(data.labels[fold.test], minlength=3).tolist() == [4, 4, 4]


def test_seeds_divide_differently_and_the_same_seed_alike() -> None:
    first, again, other = (stratified_folds(twins(), folds=5, seed=seed)[0].test.tolist() for seed in (0, 0, 1))

    assert first == again != other


def test_more_folds_than_groups_of_a_class_are_refused() -> None:
    assert scarcest_class(twins())[1] == 10
    with pytest.raises(DataError, match=r"class 'folk' has 10 tracks or groups .*but 11 folds"):
        stratified_folds(twins(), folds=11, seed=0)


def test_each_track_is_judged_by_a_model_that_has_not_seen_its_group() -> None:
    data = twins()
    calls = []

    def nearest(train: LabelledTracks, test: LabelledTracks, seed: int) -> np.ndarray:
        distances = ((test.x[:, None] - train.x[None]) ** 2).sum(axis=2)
        assert distances.min() > 0
        return np.eye(3)[train.labels[distances.argmin(axis=1)]]

    result = out_of_fold(data, nearest, stratified_folds(data, folds=5, seed=0), seed=0, done=lambda: calls.append(1))

    assert len(calls) == 5
    assert (result.argmax(axis=1) == data.labels).mean() > 0.8
