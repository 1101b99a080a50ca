"""Collaborative factors: what the head of the module claims, side information, and the way to disk and back."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from audotics.evaluation.baselines import ease
from audotics.features.history import MAX_HISTORY
from audotics.features.tracks import TagSets, TrackColumns
from audotics.models.collaborative import (
    CollaborativeModel,
    CollaborativeOptions,
    Spectrum,
    assemble,
    decompose,
)

N_USERS, N_TRACKS = 120, 50


@pytest.fixture(scope="module")
def matrix() -> sparse.csr_matrix:
    """Listeners of two tastes that overlap a little, and a few popular tracks that everybody hears."""
    rng = np.random.default_rng(0)
    chance = np.full((N_USERS, N_TRACKS), 0.05)
    chance[: N_USERS // 2, : N_TRACKS // 2] = chance[N_USERS // 2 :, N_TRACKS // 2 :] = 0.25
    chance[:, ::10] += 0.3
    return sparse.csr_matrix((rng.random(chance.shape) < chance).astype(np.float32))


@pytest.fixture(scope="module")
def tracks() -> TrackColumns:
    return TrackColumns.build([f"t{row}" for row in range(N_TRACKS)])


@pytest.fixture(scope="module")
def histories() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.choice(N_TRACKS, length, replace=False) for length in (1, 2, 3, 7, 20)]


def fit(matrix: sparse.csr_matrix, tracks: TrackColumns, options: CollaborativeOptions) -> CollaborativeModel:
    return assemble(decompose(matrix, tracks, options), options)


def cosines(model: CollaborativeModel) -> np.ndarray:
    unit = model.track_vectors / np.linalg.norm(model.track_vectors, axis=1, keepdims=True)
    return unit @ unit.T


@pytest.mark.parametrize("l2", [0.5, 2.0, 8.0])
def test_at_full_rank_it_is_ease(
    matrix: sparse.csr_matrix, tracks: TrackColumns, histories: list[np.ndarray], l2: float
) -> None:
    """For each listener the scores of unheard tracks are EASE's, but for a shift and a positive scale."""
    options = CollaborativeOptions(rank=N_TRACKS, l2=l2, item_exponent=1.0)
    spectrum = decompose(matrix, tracks, options)

    actual = assemble(spectrum, options).scores(histories)
    expected = ease(matrix, l2=l2 * spectrum.mean_diagonal)(histories)

    for row, history in enumerate(histories):
        unheard = np.setdiff1d(np.arange(N_TRACKS), history)
        scale, shift = np.polyfit(expected[row, unheard], actual[row, unheard], 1)
        assert scale > 0
        np.testing.assert_allclose(actual[row, unheard], scale * expected[row, unheard] + shift, rtol=1e-4, atol=1e-4)


def test_less_than_full_rank_is_not_ease(
    matrix: sparse.csr_matrix, tracks: TrackColumns, histories: list[np.ndarray]
) -> None:
    options = CollaborativeOptions(rank=5, l2=2.0, item_exponent=1.0)
    spectrum = decompose(matrix, tracks, options)

    actual = assemble(spectrum, options).scores(histories[:1])[0]
    expected = ease(matrix, l2=2.0 * spectrum.mean_diagonal)(histories[:1])[0]

    assert np.corrcoef(actual, expected)[0, 1] < 0.999


@pytest.mark.parametrize("item_exponent", [0.25, 1.0])
@pytest.mark.parametrize("rank", [3, 30])
def test_scores_are_centred_and_of_unit_spread_on_average(
    matrix: sparse.csr_matrix, tracks: TrackColumns, histories: list[np.ndarray], rank: int, item_exponent: float
) -> None:
    model = fit(matrix, tracks, CollaborativeOptions(rank=rank, item_exponent=item_exponent))
    scores = model.scores(histories)

    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.mean(axis=1), 0, atol=1e-4)
    assert np.sqrt((scores.var(axis=1)).mean()) == pytest.approx(1, rel=0.2)
    np.testing.assert_allclose(scores, model.user_vectors(histories) @ model.track_vectors.T, atol=1e-6)


def test_a_new_listener_gets_zeros(matrix: sparse.csr_matrix, tracks: TrackColumns) -> None:
    model = fit(matrix, tracks, CollaborativeOptions(rank=8))
    nothing = np.zeros(0, np.int32)

    assert (model.scores([nothing]) == 0).all()
    beside, alone = model.scores([nothing, np.asarray([4])])[1], model.scores([np.asarray([4])])[0]
    np.testing.assert_allclose(beside, alone, atol=1e-5)


def test_order_does_not_matter_and_old_tracks_are_cut(tracks: TrackColumns) -> None:
    rng = np.random.default_rng(0)
    n = MAX_HISTORY + 40
    many = sparse.csr_matrix((rng.random((60, n)) < 0.1).astype(np.float32))
    model = fit(many, TrackColumns.build([str(row) for row in range(n)]), CollaborativeOptions(rank=8))
    history = rng.permutation(n)

    recent = model.scores([history[-MAX_HISTORY:]])
    np.testing.assert_allclose(model.scores([history]), recent, atol=1e-6)
    np.testing.assert_allclose(model.scores([history[-MAX_HISTORY:][::-1]]), recent, atol=1e-4)


def test_the_truncated_decomposition_agrees_with_the_whole_one(
    matrix: sparse.csr_matrix, tracks: TrackColumns, histories: list[np.ndarray]
) -> None:
    options = CollaborativeOptions(rank=12, user_exponent=0.3)
    whole = decompose(matrix, tracks, options)
    truncated = decompose(matrix, tracks, options, dense_tracks=N_TRACKS - 1)

    assert len(whole.values) == N_TRACKS
    assert len(truncated.values) == 12
    assert truncated.mean_diagonal == whole.mean_diagonal
    np.testing.assert_allclose(truncated.values, whole.values[:12], rtol=1e-4)
    np.testing.assert_allclose(
        assemble(truncated, options).scores(histories), assemble(whole, options).scores(histories), atol=1e-3
    )


def test_a_smaller_rank_can_be_cut_from_a_larger_spectrum(
    matrix: sparse.csr_matrix, tracks: TrackColumns, histories: list[np.ndarray]
) -> None:
    options = CollaborativeOptions(rank=20)
    whole = decompose(matrix, tracks, options)
    small = replace(options, rank=6)
    cut = Spectrum(whole.values[:6], whole.vectors[:, :6], whole.mean_diagonal)

    model = assemble(whole, small)
    assert model.track_vectors.shape == (N_TRACKS, 6)
    np.testing.assert_array_equal(model.scores(histories), assemble(cut, small).scores(histories))


def test_the_rank_noted_is_the_rank_there_is(matrix: sparse.csr_matrix, tracks: TrackColumns) -> None:
    model = fit(matrix, tracks, CollaborativeOptions(rank=1024))

    assert model.options.rank == N_TRACKS == model.track_vectors.shape[1]


def test_a_taste_is_recognised(matrix: sparse.csr_matrix, tracks: TrackColumns) -> None:
    scores = fit(matrix, tracks, CollaborativeOptions(rank=10)).scores([np.asarray([1, 2, 3])])[0]
    own = np.setdiff1d(np.arange(N_TRACKS // 2), [1, 2, 3, *range(0, N_TRACKS, 10)])
    other = np.setdiff1d(np.arange(N_TRACKS // 2, N_TRACKS), range(0, N_TRACKS, 10))

    assert scores[own].mean() > scores[other].mean() + 1


@pytest.mark.parametrize(("side", "pair"), [("tag_weight", (40, 41)), ("artist_weight", (40, 42))])
def test_side_information_brings_tracks_without_common_listeners_together(side: str, pair: tuple[int, int]) -> None:
    """Tracks 40 and 41 share a tag, 40 and 42 an artist, and each has two listeners of its own."""
    dense = (np.random.default_rng(0).random((80, N_TRACKS)) < 0.15).astype(np.float32)
    dense[:, 40:43] = 0
    dense[[0, 1], 40] = dense[[2, 3], 41] = dense[[4, 5], 42] = 1
    described = TrackColumns.build(
        [str(row) for row in range(N_TRACKS)],
        artists=["Same" if row in (40, 42) else "" for row in range(N_TRACKS)],
        tags=TagSets.from_lists([["rare"] if row in (40, 41) else [] for row in range(N_TRACKS)]),
    )
    plain = CollaborativeOptions(rank=20)

    without = cosines(fit(sparse.csr_matrix(dense), described, plain))[pair]
    helped = cosines(fit(sparse.csr_matrix(dense), described, replace(plain, **{side: 3.0})))[pair]

    assert helped > without + 0.3


def test_side_information_that_nobody_has_changes_nothing(
    matrix: sparse.csr_matrix, tracks: TrackColumns, histories: list[np.ndarray]
) -> None:
    plain = CollaborativeOptions(rank=10)
    asked = replace(plain, tag_weight=1.0, artist_weight=1.0)

    np.testing.assert_array_equal(
        fit(matrix, tracks, asked).scores(histories), fit(matrix, tracks, plain).scores(histories)
    )


def test_a_saved_model_comes_back_equal(
    matrix: sparse.csr_matrix, tracks: TrackColumns, histories: list[np.ndarray], tmp_path: Path
) -> None:
    model = fit(matrix, tracks, CollaborativeOptions(rank=7, l2=3.0))
    model.save(tmp_path)
    back = CollaborativeModel.load(tmp_path, asdict(model.options))

    assert back.options == model.options
    np.testing.assert_array_equal(back.scores(histories), model.scores(histories))
