"""iALS: its normal equations, its loss, fold-in of any history, and the way to disk and back."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from audotics.features.history import MAX_HISTORY
from audotics.models.ials import IalsModel, IalsOptions, fit_ials

N_USERS, N_TRACKS = 120, 50
OPTIONS = IalsOptions(rank=6, sweeps=6, unobserved_weight=0.2, l2=0.02)


@pytest.fixture(scope="module")
def matrix() -> sparse.csr_matrix:
    """Listeners of two tastes that overlap a little, and one who heard nothing."""
    rng = np.random.default_rng(0)
    chance = np.full((N_USERS, N_TRACKS), 0.05)
    chance[: N_USERS // 2, : N_TRACKS // 2] = chance[N_USERS // 2 :, N_TRACKS // 2 :] = 0.3
    chance[7] = 0.0
    return sparse.csr_matrix((rng.random(chance.shape) < chance).astype(np.float32))


@pytest.fixture(scope="module")
def model(matrix: sparse.csr_matrix) -> IalsModel:
    return fit_ials(matrix, OPTIONS, seed=0)


def solved(factors: np.ndarray, history: np.ndarray, options: IalsOptions) -> np.ndarray:
    """The normal equation as the paper has it."""
    own = factors[history].astype(np.float64)
    strength = options.l2 * (len(history) + options.unobserved_weight * len(factors)) ** options.frequency_exponent
    gram = factors.astype(np.float64).T @ factors
    system = own.T @ own + options.unobserved_weight * gram + strength * np.eye(factors.shape[1])
    return np.linalg.solve(system, own.sum(axis=0))


def loss(matrix: sparse.csr_matrix, model: IalsModel) -> float:
    """The loss at the head of the module, with the best vectors of the listeners."""
    heard, options = np.asarray(matrix.todense()), model.options
    tracks = model.track_factors.astype(np.float64)
    listeners = np.stack([solved(tracks, np.flatnonzero(row), options) for row in heard])
    predicted = listeners @ tracks.T
    fit = (heard * (predicted - 1) ** 2).sum() + options.unobserved_weight * (predicted**2).sum()
    for vectors, counts, others in ((listeners, heard.sum(axis=1), N_TRACKS), (tracks, heard.sum(axis=0), N_USERS)):
        strengths = (counts + options.unobserved_weight * others) ** options.frequency_exponent
        fit += options.l2 * (strengths * (vectors**2).sum(axis=1)).sum()
    return float(fit)


@pytest.mark.parametrize("exponent", [0.5, 1.0])
@pytest.mark.parametrize("length", [1, 3, 6, 7, 30])
def test_a_listener_is_the_solution_of_the_normal_equation(
    matrix: sparse.csr_matrix, length: int, exponent: float
) -> None:
    """For histories shorter and longer than the rank, which are solved in different unknowns."""
    model = fit_ials(matrix, replace(OPTIONS, frequency_exponent=exponent, sweeps=2), seed=0)
    history = np.random.default_rng(length).choice(N_TRACKS, length, replace=False)

    expected = solved(model.track_factors, history, model.options)

    actual = model.user_vectors([np.asarray([3]), history])[1]
    np.testing.assert_allclose(actual, expected / np.linalg.norm(expected), rtol=0, atol=1e-6)


def test_a_track_heard_twice_counts_twice(model: IalsModel) -> None:
    expected = solved(model.track_factors, np.asarray([4, 4, 9]), model.options)

    actual = model.user_vectors([np.asarray([4, 4, 9])])[0]

    np.testing.assert_allclose(actual, expected / np.linalg.norm(expected), rtol=0, atol=1e-6)


def test_every_sweep_lowers_the_loss(matrix: sparse.csr_matrix) -> None:
    losses = [loss(matrix, fit_ials(matrix, replace(OPTIONS, sweeps=sweeps), seed=0)) for sweeps in (1, 2, 4, 8)]

    assert losses[0] > losses[1] > losses[2] > losses[3]


def test_sweeps_that_go_on_end_where_tracks_solve_their_equations_too(matrix: sparse.csr_matrix) -> None:
    model = fit_ials(matrix, replace(OPTIONS, sweeps=120), seed=0)
    heard = np.asarray(matrix.todense())
    listeners = np.stack([solved(model.track_factors, np.flatnonzero(row), OPTIONS) for row in heard])

    tracks = np.stack([solved(listeners, np.flatnonzero(column), OPTIONS) for column in heard.T])

    np.testing.assert_allclose(tracks, model.track_factors, rtol=0, atol=0.02 * np.abs(tracks).max())


def test_the_gram_matrix_of_the_tracks_is_diagonal(model: IalsModel) -> None:
    gram = model.track_factors.T.astype(np.float64) @ model.track_factors
    diagonal = np.diag(gram)

    assert (np.diff(diagonal) <= 0).all()
    np.testing.assert_allclose(gram, np.diag(diagonal), rtol=0, atol=1e-5 * diagonal[0])
    np.testing.assert_allclose(model.unobserved_diagonal(), OPTIONS.unobserved_weight * diagonal, rtol=1e-6)


def test_scores_are_centred_and_of_unit_spread_on_average(matrix: sparse.csr_matrix, model: IalsModel) -> None:
    scores = model.scores([row.indices for row in matrix if row.nnz])

    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.mean(axis=1), 0, atol=1e-5)
    assert np.sqrt(scores.var(axis=1).mean()) == pytest.approx(1, rel=0.02)


def test_a_ranking_is_that_of_the_plain_factors(model: IalsModel) -> None:
    history = np.asarray([1, 2, 30])
    plain = model.track_factors @ solved(model.track_factors, history, model.options)

    np.testing.assert_array_equal(np.argsort(model.scores([history])[0]), np.argsort(plain))


def test_a_taste_is_recognised(model: IalsModel) -> None:
    scores = model.scores([np.asarray([1, 2, 3])])[0]

    assert scores[4 : N_TRACKS // 2].mean() > scores[N_TRACKS // 2 :].mean() + 1


def test_a_new_listener_gets_zeros(model: IalsModel) -> None:
    nothing = np.zeros(0, np.int32)

    assert (model.scores([nothing]) == 0).all()
    assert model.scores([]).shape == (0, N_TRACKS)
    beside, alone = model.scores([nothing, np.asarray([4])])[1], model.scores([np.asarray([4])])[0]
    np.testing.assert_allclose(beside, alone, atol=1e-5)


def test_old_tracks_are_cut(model: IalsModel) -> None:
    history = np.random.default_rng(0).integers(0, N_TRACKS, MAX_HISTORY + 40)

    np.testing.assert_array_equal(model.scores([history]), model.scores([history[-MAX_HISTORY:]]))


def test_the_seed_decides(matrix: sparse.csr_matrix, model: IalsModel) -> None:
    np.testing.assert_array_equal(fit_ials(matrix, OPTIONS, seed=0).track_factors, model.track_factors)
    assert not np.allclose(fit_ials(matrix, OPTIONS, seed=1).track_factors, model.track_factors, atol=1e-3)


def test_every_sweep_is_told_and_the_rank_noted_is_the_rank_there_is(matrix: sparse.csr_matrix) -> None:
    sweeps: list[int] = []
    model = fit_ials(matrix, replace(OPTIONS, rank=200, sweeps=3), seed=0, on_sweep=lambda: sweeps.append(1))

    assert len(sweeps) == 3
    assert model.options.rank == N_TRACKS == model.track_factors.shape[1]
    assert np.isfinite(model.scores([np.asarray([1])])).all()


def test_a_saved_model_comes_back_equal(model: IalsModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    back = IalsModel.load(tmp_path, asdict(model.options))

    assert back.options == model.options
    np.testing.assert_array_equal(back.scores([np.asarray([3, 4])]), model.scores([np.asarray([3, 4])]))
