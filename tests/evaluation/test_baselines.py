"""Baselines against their formulas, written out in loops over small matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from audotics.data.dataset import Interactions
from audotics.evaluation.baselines import (
    content_knn,
    ease,
    history_matrix,
    interaction_matrix,
    item_knn,
    popularity,
    raw_features,
)
from audotics.features.tracks import TagSets, TrackColumns

N_USERS, N_TRACKS = 30, 9


@pytest.fixture
def dense() -> np.ndarray:
    """Track 8 was never heard."""
    heard = (np.random.default_rng(2).random((N_USERS, N_TRACKS)) < 0.35).astype(np.float32)
    heard[:, 8] = 0
    return heard


@pytest.fixture
def histories() -> list[np.ndarray]:
    return [np.asarray(history, np.int32) for history in ([0], [3, 1], [8], [], [7, 6, 5, 4, 2])]


def test_the_two_ways_to_a_matrix_agree(dense: np.ndarray) -> None:
    users, tracks = np.nonzero(dense)
    interactions = Interactions.build(users, tracks, weights=np.full(len(users), 7.0))

    whole = interaction_matrix(interactions, n_users=N_USERS, n_tracks=N_TRACKS)

    np.testing.assert_array_equal(whole.toarray(), dense)
    np.testing.assert_array_equal(history_matrix(interactions.histories(N_USERS), N_TRACKS).toarray(), dense)
    assert history_matrix([], N_TRACKS).shape == (0, N_TRACKS)


def test_popularity_counts_listeners(dense: np.ndarray, histories: list[np.ndarray]) -> None:
    scores = popularity(sparse.csr_matrix(dense))(histories)

    np.testing.assert_array_equal(scores, np.tile(dense.sum(axis=0), (len(histories), 1)))


@pytest.mark.parametrize("neighbours", [3, 100])
def test_item_knn_adds_up_the_cosines_to_the_nearest(
    dense: np.ndarray, histories: list[np.ndarray], neighbours: int
) -> None:
    cosine = np.zeros((N_TRACKS, N_TRACKS))
    for i in range(N_TRACKS):
        for j in range(N_TRACKS):
            norms = np.linalg.norm(dense[:, i]) * np.linalg.norm(dense[:, j])
            if i != j and norms:
                cosine[i, j] = dense[:, i] @ dense[:, j] / norms
    expected = np.zeros((len(histories), N_TRACKS))
    for row, history in enumerate(histories):
        for track in range(N_TRACKS):
            nearest = sorted(cosine[track], reverse=True)[:neighbours]
            expected[row, track] = sum(cosine[track, heard] for heard in history if cosine[track, heard] >= nearest[-1])

    scores = item_knn(sparse.csr_matrix(dense), neighbours=neighbours)(histories)

    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_ease_solves_its_least_squares(dense: np.ndarray, histories: list[np.ndarray]) -> None:
    """Column j of B minimises |X_j - X·B_j|² + λ|B_j|² over the other tracks: one ridge regression a track."""
    l2 = 5.0
    weights = np.zeros((N_TRACKS, N_TRACKS))
    for track in range(N_TRACKS):
        others = [other for other in range(N_TRACKS) if other != track]
        x = dense[:, others].astype(np.float64)
        weights[others, track] = np.linalg.solve(x.T @ x + l2 * np.eye(len(others)), x.T @ dense[:, track])
    expected = [weights[history].sum(axis=0) for history in histories]

    scores = ease(sparse.csr_matrix(dense), l2=l2)(histories)

    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.fixture
def catalogue() -> TrackColumns:
    """Two rock tracks that sound alike, one of jazz, one of which only the artist is known, one of which nothing is."""
    audio = np.full((5, 11), np.nan)
    audio[:3] = np.random.default_rng(3).normal(size=(3, 11))
    audio[1] = audio[0]
    tags = TagSets.from_lists([["rock", "loud"], ["rock", "loud"], ["jazz"], [], []])
    return TrackColumns.build(list("abcde"), audio=audio, tags=tags, artists=["X", "Y", "X", "X", ""])


def test_raw_features_are_unit_rows_of_audio_and_tags(catalogue: TrackColumns) -> None:
    features = raw_features(catalogue)
    cosines = (features @ features.T).toarray()

    np.testing.assert_allclose(np.diag(cosines), [1, 1, 1, 0, 0], atol=1e-6)
    assert cosines[0, 1] == pytest.approx(1)
    audio = features.toarray()[:, :11] * np.sqrt(2)
    np.testing.assert_allclose(cosines[0, 2], audio[0] @ audio[2] / 2, atol=1e-6)
    with_artists = raw_features(catalogue, artists=True)
    again = (with_artists @ with_artists.T).toarray()
    assert again[0, 1] == pytest.approx(2 / 3)
    assert again[0, 2] == pytest.approx((audio[0] @ audio[2] + 1) / 3, abs=1e-6)
    assert again[0, 3] == pytest.approx(1 / np.sqrt(3))


@pytest.mark.parametrize("neighbours", [1, 2, 10])
def test_content_knn_takes_the_mean_of_the_nearest(catalogue: TrackColumns, neighbours: int) -> None:
    features = raw_features(catalogue, artists=True)
    cosines = (features @ features.T).toarray()
    histories = [np.asarray(history, np.int32) for history in ([], [3], [0, 2, 3])]
    expected = [
        [np.mean(sorted(cosines[track, history])[-neighbours:]) if len(history) else 0 for track in range(5)]
        for history in histories
    ]

    np.testing.assert_allclose(content_knn(features, neighbours=neighbours)(histories), expected, atol=1e-6)
