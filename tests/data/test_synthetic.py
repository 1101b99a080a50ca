"""The synthetic catalogue: repeatable, valid, and worth learning from."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from audotics.data.dataset import Dataset
from audotics.data.splits import leave_one_out
from audotics.data.synthetic import synthetic
from audotics.features.audio import AUDIO_FEATURES, AUDIO_RANGES, AudioScaler
from audotics.features.genres import GENRES, genre_matrix


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return synthetic(n_tracks=1_200, n_users=1_000, seed=3)


def test_equal_arguments_give_equal_data() -> None:
    first, same, other = (synthetic(n_tracks=300, n_users=50, seed=seed) for seed in (7, 7, 8))
    assert list(first.tracks.titles) == list(same.tracks.titles) != list(other.tracks.titles)
    np.testing.assert_array_equal(first.tracks.audio, same.tracks.audio)
    np.testing.assert_array_equal(first.tracks.tags.codes, same.tracks.tags.codes)
    np.testing.assert_array_equal(first.interactions.tracks, same.interactions.tracks)
    np.testing.assert_array_equal(first.interactions.timestamps, same.interactions.timestamps)


def test_default_sizes() -> None:
    dataset = synthetic()
    assert (dataset.n_tracks, dataset.n_users) == (5_000, 2_000)
    assert dataset.user_ids[1] == "u00001"
    assert dataset.tracks.ids[4_999] == "t0004999"
    assert 26 <= len(dataset.interactions) / dataset.n_users <= 31


def test_columns_are_known_and_valid(dataset: Dataset) -> None:
    tracks = dataset.tracks
    for column, feature in enumerate(AUDIO_FEATURES):
        low, high = AUDIO_RANGES[feature]
        assert low <= tracks.audio[:, column].min() <= tracks.audio[:, column].max() <= high
        assert tracks.audio[:, column].std() > 0.01
    assert 1960 <= tracks.release_years.min() <= tracks.release_years.max() <= 2025
    assert set(tracks.explicit.tolist()) == {0, 1}
    assert 60_000 <= tracks.durations_ms.min() <= tracks.durations_ms.max() <= 900_000
    assert 0 <= tracks.popularity.min() <= tracks.popularity.max() <= 1
    assert all(re.fullmatch(r"[A-Z][a-z]+( [A-Za-z]+)*", text) for text in (*tracks.titles, *tracks.albums))


def test_every_track_has_a_genre_a_sub_genre_and_its_decade(dataset: Dataset) -> None:
    assert genre_matrix(dataset.tracks.tags).any(axis=1).all()
    for row in range(dataset.n_tracks):
        genre, sub_genre, decade = dataset.tracks.tags.row(row)
        assert genre in GENRES
        assert sub_genre != genre
        assert decade == f"{dataset.tracks.release_years[row] // 10 * 10}s"


def test_the_number_of_artists_can_be_chosen() -> None:
    assert len(set(synthetic(n_tracks=500, n_users=5, n_artists=90).tracks.artists)) == 90
    assert len(set(synthetic(n_tracks=200_000, n_users=5, n_artists=160_000).tracks.artists)) == 160_000


def test_histories_have_no_repeats_and_run_forward(dataset: Dataset) -> None:
    pairs = dataset.interactions.users.astype(np.int64) * dataset.n_tracks + dataset.interactions.tracks
    assert len(np.unique(pairs)) == len(pairs)
    same_user = np.diff(dataset.interactions.users) == 0
    assert (np.diff(dataset.interactions.timestamps)[same_user] >= 0).all()
    np.testing.assert_array_equal(
        dataset.tracks.plays, np.bincount(dataset.interactions.tracks, minlength=dataset.n_tracks)
    )


def test_popularity_has_a_long_tail(dataset: Dataset) -> None:
    plays = np.sort(dataset.tracks.plays)[::-1]
    assert plays[: dataset.n_tracks // 10].sum() > 0.3 * plays.sum()
    assert np.corrcoef(dataset.tracks.popularity, np.log1p(dataset.tracks.plays))[0, 1] > 0.7


def test_neighbours_beat_popularity_clearly(dataset: Dataset) -> None:
    split = leave_one_out(dataset.interactions, dataset.n_users, seed=1)
    heard = np.zeros((dataset.n_users, dataset.n_tracks), np.float32)
    heard[split.train.users, split.train.tracks] = 1.0
    plays = heard.sum(axis=0)
    similarity = heard.T @ heard / np.sqrt(np.outer(np.maximum(plays, 1), np.maximum(plays, 1)))
    np.fill_diagonal(similarity, 0.0)

    def hit_rate_at_10(scores: NDArray[np.float32]) -> float:
        unheard = np.where(heard > 0, -np.inf, scores)[split.test_users]
        target = unheard[np.arange(len(unheard)), split.test_tracks]
        return float(((unheard > target[:, None]).sum(axis=1) < 10).mean())

    assert hit_rate_at_10(heard @ similarity) > 2 * hit_rate_at_10(np.broadcast_to(plays, heard.shape))


def test_audio_says_something_about_taste(dataset: Dataset) -> None:
    scaled = AudioScaler.fit(dataset.tracks.audio).transform(dataset.tracks.audio)[:, : len(AUDIO_FEATURES)]
    rng = np.random.default_rng(0)
    users, tracks = dataset.interactions.users, dataset.interactions.tracks
    neighbours = np.flatnonzero(users[1:] == users[:-1])
    together = np.linalg.norm(scaled[tracks[neighbours]] - scaled[tracks[neighbours + 1]], axis=1).mean()
    anyhow = np.linalg.norm(scaled[tracks] - scaled[rng.permutation(tracks)], axis=1).mean()
    assert together < 0.85 * anyhow


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_tracks": 0}, "n_tracks must be at least 1, but is 0"),
        ({"n_users": -1}, "n_users must be at least 1, but is -1"),
        ({"n_tracks": 5, "n_artists": 6}, r"n_artists must be at most n_tracks \(5\), but is 6"),
        ({"mean_history": 0}, "mean_history must be positive, but is 0"),
    ],
)
def test_sizes_that_make_no_sense(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic(**sizes)  # type: ignore[arg-type]


def test_the_smallest_catalogue() -> None:
    dataset = synthetic(n_tracks=1, n_users=1)
    assert dataset.interactions.tracks.tolist() == [0]
