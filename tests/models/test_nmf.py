"""NMF: fold-in against an exact solver, what its factors are, and the way to disk and back."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import nnls

from audotics.models.nmf import NmfModel, NmfOptions, fit_nmf

N_USERS, N_TRACKS = 120, 50
OPTIONS = NmfOptions(rank=6, iterations=60)


@pytest.fixture(scope="module")
def matrix() -> sparse.csr_matrix:
    """Listeners of two tastes that overlap a little, and one who heard nothing."""
    rng = np.random.default_rng(0)
    chance = np.full((N_USERS, N_TRACKS), 0.05)
    chance[: N_USERS // 2, : N_TRACKS // 2] = chance[N_USERS // 2 :, N_TRACKS // 2 :] = 0.3
    chance[7] = 0.0
    return sparse.csr_matrix((rng.random(chance.shape) < chance).astype(np.float32))


@pytest.fixture(scope="module")
def model(matrix: sparse.csr_matrix) -> NmfModel:
    return fit_nmf(matrix, OPTIONS, seed=0)


@pytest.mark.parametrize("length", [1, 2, 5, 20, 45])
def test_a_listener_is_the_solution_of_non_negative_least_squares(model: NmfModel, length: int) -> None:
    history = np.random.default_rng(length).choice(N_TRACKS, length, replace=False)
    heard = np.zeros(N_TRACKS)
    heard[history] = 1.0
    expected, _ = nnls(model.track_factors.astype(np.float64), heard)

    actual = model.user_vectors([np.asarray([3]), history])[1]

    np.testing.assert_allclose(actual, expected / np.linalg.norm(expected), rtol=0, atol=1e-5)


def test_some_weights_are_zero_that_least_squares_would_make_negative(model: NmfModel) -> None:
    """Else the solver above would not have to respect the bound."""
    vectors = model.user_vectors([np.asarray([track]) for track in range(N_TRACKS)])
    unbounded = model.track_factors @ np.linalg.inv(model.track_factors.T @ model.track_factors)

    assert (vectors >= 0).all()
    assert ((vectors == 0) & (unbounded < -1e-3)).any()


def test_factors_are_not_negative_and_their_columns_have_unit_length(model: NmfModel) -> None:
    assert (model.track_factors >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(model.track_factors, axis=0), 1, rtol=1e-5)


def test_scores_are_centred_and_of_unit_spread_on_average(matrix: sparse.csr_matrix, model: NmfModel) -> None:
    scores = model.scores([row.indices for row in matrix if row.nnz])

    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.mean(axis=1), 0, atol=1e-5)
    assert np.sqrt(scores.var(axis=1).mean()) == pytest.approx(1, rel=0.02)


def test_a_taste_is_recognised(model: NmfModel) -> None:
    scores = model.scores([np.asarray([1, 2, 3])])[0]

    assert scores[4 : N_TRACKS // 2].mean() > scores[N_TRACKS // 2 :].mean() + 0.5


def test_a_new_listener_gets_zeros(model: NmfModel) -> None:
    assert (model.scores([np.zeros(0, np.int32)]) == 0).all()
    assert model.scores([]).shape == (0, N_TRACKS)


def test_long_rows_can_be_made_to_count_less(matrix: sparse.csr_matrix, model: NmfModel) -> None:
    scaled = fit_nmf(matrix, replace(OPTIONS, user_exponent=1.0), seed=0)

    assert np.abs(scaled.track_factors - model.track_factors).max() > 0.01


def test_penalties_bring_factors_together(matrix: sparse.csr_matrix, model: NmfModel) -> None:
    penalised = fit_nmf(matrix, replace(OPTIONS, l2=1e-3), seed=0)

    assert np.abs(penalised.track_factors - model.track_factors).max() > 0.01


def test_the_rank_noted_is_the_rank_there_is(matrix: sparse.csr_matrix) -> None:
    model = fit_nmf(matrix, replace(OPTIONS, rank=500, iterations=2), seed=0)

    assert model.options.rank == N_TRACKS == model.track_factors.shape[1]
    assert np.isfinite(model.scores([np.asarray([1])])).all()


def test_a_saved_model_comes_back_equal(model: NmfModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    back = NmfModel.load(tmp_path, asdict(model.options))

    assert back.options == model.options
    np.testing.assert_array_equal(back.scores([np.asarray([3, 4])]), model.scores([np.asarray([3, 4])]))
