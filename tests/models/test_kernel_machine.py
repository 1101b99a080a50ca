"""The kernel machine: the same as kernel ridge regression, and bounded in size."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from audotics.models.kernel_machine import KernelMachine
from tests.labelled import clouds

DATA = clouds(each=40)


def fit(ridge: float = 0.3, *, max_anchors: int = 1_000, seed: int = 0) -> KernelMachine:
    return KernelMachine.fit(DATA.x, DATA.labels, 3, gamma=0.2, ridge=ridge, max_anchors=max_anchors, seed=seed)


def test_with_all_points_as_anchors_it_is_kernel_ridge_regression() -> None:
    centred = np.eye(3)[DATA.labels] - 1 / 3
    theirs = KernelRidge(alpha=0.3, kernel="rbf", gamma=0.2).fit(DATA.x, centred)
    points = clouds(each=5, seed=1).x

    np.testing.assert_allclose(fit().scores(points), theirs.predict(points) + 1 / 3, atol=1e-6)


def test_several_ridges_at_once_are_the_same_as_one_by_one() -> None:
    machines = KernelMachine.fit_ridges(DATA.x, DATA.labels, 3, gamma=0.2, ridges=(0.1, 0.3), max_anchors=50, seed=0)

    for ridge, machine in zip((0.1, 0.3), machines, strict=True):
        np.testing.assert_allclose(machine.weights, fit(ridge, max_anchors=50).weights)


def test_fewer_anchors_than_points_give_nearly_the_same_classes() -> None:
    small, whole = fit(max_anchors=60), fit()
    points = clouds(each=60, seed=1)

    assert len(small.anchors) == 60
    agreement = small.scores(points.x).argmax(axis=1) == whole.scores(points.x).argmax(axis=1)
    assert agreement.mean() > 0.95
    np.testing.assert_array_equal(small.weights, fit(max_anchors=60).weights)


def test_far_from_all_anchors_nothing_but_frequencies_is_known() -> None:
    assert fit().scores(np.full((1, 6), 1e3))[0] == pytest.approx([1 / 3] * 3)
    assert fit().scores(np.zeros((0, 6))).shape == (0, 3)
