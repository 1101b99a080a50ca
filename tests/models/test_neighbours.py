"""Sparse neighbours: EASE where all are kept, the nearest ones where not, and the way to disk and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from audotics.evaluation.baselines import ease
from audotics.models.neighbours import (
    BLOCK_TRACKS,
    NeighboursModel,
    NeighboursOptions,
    find_nearest,
    fit_neighbours,
)

N_USERS, N_TRACKS = 120, 50


@pytest.fixture(scope="module")
def matrix() -> sparse.csr_matrix:
    """Listeners of two tastes that overlap, so that any two tracks have a listener in common."""
    rng = np.random.default_rng(0)
    chance = np.full((N_USERS, N_TRACKS), 0.15)
    chance[: N_USERS // 2, : N_TRACKS // 2] = chance[N_USERS // 2 :, N_TRACKS // 2 :] = 0.45
    matrix = sparse.csr_matrix((rng.random(chance.shape) < chance).astype(np.float32))
    assert (matrix.T @ matrix).nnz == N_TRACKS**2
    return matrix


@pytest.fixture(scope="module")
def histories() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.choice(N_TRACKS, length, replace=False) for length in (1, 2, 3, 7, 20)]


@pytest.mark.parametrize("l2", [0.5, 2.0])
def test_with_all_neighbours_it_is_ease(matrix: sparse.csr_matrix, histories: list[np.ndarray], l2: float) -> None:
    options = NeighboursOptions(neighbours=N_TRACKS, user_exponent=0.0, l2=l2, item_exponent=1.0)
    mean_diagonal = float(matrix.sum()) / N_TRACKS

    actual = fit_neighbours(matrix, options).scores(histories)

    np.testing.assert_allclose(actual, ease(matrix, l2=l2 * mean_diagonal)(histories), rtol=1e-4, atol=1e-5)


def test_a_few_neighbours_are_near_to_ease_but_not_it(matrix: sparse.csr_matrix, histories: list[np.ndarray]) -> None:
    options = NeighboursOptions(neighbours=25, user_exponent=0.0, l2=2.0, item_exponent=1.0)

    actual = fit_neighbours(matrix, options).scores(histories)
    expected = ease(matrix, l2=2.0 * float(matrix.sum()) / N_TRACKS)(histories)

    correlation = np.corrcoef(actual[-1], expected[-1])[0, 1]
    assert 0.6 < correlation < 0.999


@pytest.mark.parametrize(("shrinkage", "exponent"), [(0.0, 0.0), (2.0, 0.5)])
def test_the_nearest_are_those_of_the_whole_matrix(
    matrix: sparse.csr_matrix, shrinkage: float, exponent: float
) -> None:
    options = NeighboursOptions(neighbours=7, user_exponent=exponent, shrinkage=shrinkage)
    dense = np.asarray(matrix.todense(), np.float64)
    dense /= np.maximum(dense.sum(axis=1, keepdims=True), 1.0) ** exponent
    gram = dense.T @ dense
    norms = np.sqrt(np.diag(gram))
    cosines = gram / (np.outer(norms, norms) + shrinkage * np.diag(gram).mean())
    np.fill_diagonal(cosines, 0.0)

    found = find_nearest(matrix, options)

    np.testing.assert_allclose(found.cosines, -np.sort(-cosines, axis=1)[:, :7], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(cosines, found.rows, axis=1), found.cosines, rtol=1e-5)
    np.testing.assert_allclose(found.diagonal, np.diag(gram), rtol=1e-5)


def test_blocks_meet() -> None:
    """Track t is heard by listener t/2 alone, so that tracks 2l and 2l + 1 are each other's only neighbours."""
    n_tracks = 2 * BLOCK_TRACKS + 6
    tracks = np.arange(n_tracks)
    matrix = sparse.csr_matrix((np.ones(n_tracks, np.float32), (tracks // 2, tracks)))
    done: list[int] = []

    found = find_nearest(matrix, NeighboursOptions(neighbours=3), on_tracks=done.append)

    np.testing.assert_array_equal(found.rows[:, 0], tracks ^ 1)
    np.testing.assert_allclose(found.cosines, np.tile([1.0, 0.0, 0.0], (n_tracks, 1)), rtol=1e-6)
    assert done == [BLOCK_TRACKS, BLOCK_TRACKS, 6]


def test_cosines_can_be_the_weights(matrix: sparse.csr_matrix) -> None:
    options = NeighboursOptions(weighting="cosine", neighbours=5)
    found = find_nearest(matrix, options)

    scores = fit_neighbours(matrix, options).scores([np.asarray([3])])[0]

    expected = np.zeros(N_TRACKS, np.float32)
    expected[found.rows[3]] = found.cosines[3]
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize("weighting", ["inverse", "cosine"])
def test_a_taste_is_recognised(matrix: sparse.csr_matrix, weighting: str) -> None:
    model = fit_neighbours(matrix, NeighboursOptions(weighting=weighting, neighbours=20))

    scores = model.scores([np.asarray([1, 2, 3])])[0]

    assert scores[4 : N_TRACKS // 2].mean() > 2 * scores[N_TRACKS // 2 :].mean()


def test_a_track_that_nobody_heard_is_nobodys_neighbour(matrix: sparse.csr_matrix) -> None:
    wider = sparse.hstack([matrix, sparse.csr_matrix((N_USERS, 2), dtype=np.float32)]).tocsr()
    model = fit_neighbours(wider, NeighboursOptions(neighbours=N_TRACKS))

    assert np.isfinite(model.weights).all()
    assert (model.scores([np.asarray([N_TRACKS])]) == 0).all()
    assert (model.scores([np.asarray([1, 2])])[0, N_TRACKS:] == 0).all()


def test_a_new_listener_gets_zeros(matrix: sparse.csr_matrix) -> None:
    model = fit_neighbours(matrix, NeighboursOptions(neighbours=8))

    assert (model.scores([np.zeros(0, np.int32)]) == 0).all()
    assert model.scores([]).shape == (0, N_TRACKS)


def test_a_saved_model_comes_back_equal(matrix: sparse.csr_matrix, histories: list[np.ndarray], tmp_path: Path) -> None:
    model = fit_neighbours(matrix, NeighboursOptions(neighbours=8, l2=3.0))
    model.save(tmp_path)
    back = NeighboursModel.load(tmp_path, asdict(model.options))

    assert back.options == model.options
    np.testing.assert_array_equal(back.scores(histories), model.scores(histories))
