"""Gaussians a class: log-densities of regularised covariances, and whitening that makes spreads equal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import multivariate_normal

from audotics.data.labelled import LabelledTracks
from audotics.models.gaussians import Gaussians, whitening
from tests.labelled import clouds

DATA = clouds(each=40)


def log_probabilities(data: LabelledTracks, points: np.ndarray, shrinkage: float) -> np.ndarray:
    """Of each class, by SciPy's densities (n, 3)."""
    columns = []
    for label in range(3):
        own = data.x[data.labels == label]
        covariance = (1 - shrinkage) * np.cov(own.T) + shrinkage * np.eye(own.shape[1])
        density = multivariate_normal(own.mean(axis=0), covariance).logpdf(points)
        columns.append(density + np.log(len(own) / len(data)))
    return log_softmax(np.stack(columns, axis=1), axis=1)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_scores_are_log_densities_and_log_frequencies(shrinkage: float) -> None:
    few = DATA.take(np.flatnonzero((DATA.labels == 0) | (np.arange(len(DATA)) % 4 == 0)))
    points = clouds(each=5, seed=1).x
    ours = Gaussians.fit(few.x, few.labels, 3, shrinkage=shrinkage)

    expected = log_probabilities(few, points, shrinkage)
    np.testing.assert_allclose(log_softmax(ours.scores(points), axis=1), expected, atol=1e-8)


def test_whitening_makes_the_spread_within_classes_the_identity() -> None:
    mixed = DATA.x @ np.random.default_rng(0).normal(size=(6, 6))
    white = mixed @ whitening(mixed, DATA.labels, shrinkage=0.0)
    for label in range(3):
        white[DATA.labels == label] -= white[DATA.labels == label].mean(axis=0)

    np.testing.assert_allclose(white.T @ white / len(white), np.eye(6), atol=1e-9)


def test_whitening_that_is_wholly_shrunk_keeps_all_angles() -> None:
    matrix = whitening(DATA.x, DATA.labels, shrinkage=1.0)

    np.testing.assert_allclose(matrix.T @ matrix, np.eye(6) * (matrix.T @ matrix)[0, 0], atol=1e-9)
