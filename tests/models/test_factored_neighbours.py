"""Factored neighbours: the weights as inner products, whole or cut, and standardised as the server expects."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.evaluation.baselines import history_matrix
from audotics.models.collaborative import CollaborativeOptions
from audotics.models.factored_neighbours import factor_neighbours, options_of_neighbours
from audotics.models.neighbours import NeighboursModel, fit_neighbours

N_TRACKS = 60
OPTIONS = CollaborativeOptions(rank=N_TRACKS - 1, neighbours=12, l2=3.0, user_exponent=0.25, item_exponent=0.5)


@pytest.fixture(scope="module")
def histories() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.choice(20, 7, replace=False).astype(np.int32) + 20 * (user % 3) for user in range(150)]


@pytest.fixture(scope="module")
def weights(histories: list[np.ndarray]) -> NeighboursModel:
    return fit_neighbours(history_matrix(histories, N_TRACKS), options_of_neighbours(OPTIONS))


def test_whole_they_rank_as_the_neighbours_do(weights: NeighboursModel, histories: list[np.ndarray]) -> None:
    model = factor_neighbours(weights, history_matrix(histories, N_TRACKS), OPTIONS)

    exact, scores = weights.scores(histories[:30]), model.scores(histories[:30])

    centred = exact - exact.mean(axis=1, keepdims=True)
    for row, expected in zip(scores, centred, strict=True):
        assert np.corrcoef(row, expected)[0, 1] > 0.999  # the smallest of the 60 singular values is left out
    np.testing.assert_allclose(scores.mean(axis=1), 0.0, atol=1e-4)
    assert model.scores(histories).std(axis=1).mean() == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(np.linalg.norm(model.user_vectors(histories), axis=1), 1.0, rtol=1e-4)


def test_cut_they_keep_the_tastes_apart(weights: NeighboursModel, histories: list[np.ndarray]) -> None:
    cut = CollaborativeOptions(**{**{name: getattr(OPTIONS, name) for name in ("neighbours", "l2")}, "rank": 3})
    model = factor_neighbours(weights, history_matrix(histories, N_TRACKS), cut)

    assert model.track_vectors.shape == model.history_vectors.shape == (N_TRACKS, 3)
    scores = model.scores([np.asarray([0, 1, 2]), np.asarray([45])])
    assert scores[0, 3:20].min() > scores[0, 20:].max()
    assert scores[1, 40:].min() > scores[1, :40].max()
