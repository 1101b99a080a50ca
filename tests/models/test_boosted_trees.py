"""Boosted trees as arrays: they score as scikit-learn's own do, and come back from arrays equal."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from audotics.models.boosted_trees import (
    COLUMNS_A_SPLIT,
    DEEPEST,
    LEARNING_RATE,
    LEAST_A_LEAF,
    LEAVES,
    BoostedTrees,
)
from tests.labelled import clouds

ROUNDS = 20


def halves(n_classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Tracks of which the first column is coarse, so that many values stand just where trees part them."""
    data = clouds([f"class {label}" for label in range(n_classes)], each=150, spread=2.0)
    x = data.x.astype(np.float32)
    x[:, 0] = np.round(x[:, 0], 1)
    return x, data.labels.astype(np.int64)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_are_those_of_the_library(n_classes: int) -> None:
    x, labels = halves(n_classes)
    reference = HistGradientBoostingClassifier(
        learning_rate=LEARNING_RATE,
        max_iter=ROUNDS,
        max_leaf_nodes=LEAVES,
        max_depth=DEEPEST,
        min_samples_leaf=LEAST_A_LEAF,
        max_features=COLUMNS_A_SPLIT,
        early_stopping=False,
        random_state=3,
    ).fit(x, labels)

    scores = BoostedTrees.fit(x, labels, n_classes, rounds=ROUNDS, seed=3).scores(x)

    expected = reference.decision_function(x)
    found = scores if n_classes > 2 else scores[:, 1] - scores[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected) > 0.5


def test_an_unknown_value_counts_as_the_middle_one() -> None:
    x, labels = halves(3)
    holes = x.copy()
    holes[::7, 1] = np.nan
    trees = BoostedTrees.fit(holes, labels, 3, rounds=ROUNDS, seed=0)
    filled = np.where(np.isnan(holes), np.nanmedian(holes, axis=0), holes)

    np.testing.assert_array_equal(trees.scores(holes), trees.scores(filled))
    assert np.isfinite(trees.scores(np.full((2, x.shape[1]), np.nan))).all()


def test_a_column_of_which_nothing_is_known_is_borne() -> None:
    x, labels = halves(3)
    x[:, 2] = np.nan

    scores = BoostedTrees.fit(x, labels, 3, rounds=ROUNDS, seed=0).scores(x)

    assert (scores.argmax(axis=1) == labels).mean() > 0.5


def test_arrays_hold_all_of_it() -> None:
    x, labels = halves(3)
    trees = BoostedTrees.fit(x, labels, 3, rounds=ROUNDS, seed=0)
    arrays = trees.arrays()

    np.testing.assert_array_equal(BoostedTrees.of_arrays(arrays).scores(x), trees.scores(x))
    del arrays["roots"]
    with pytest.raises(KeyError, match="roots"):
        BoostedTrees.of_arrays(arrays)
