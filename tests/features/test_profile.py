"""Profiles of taste: shares, diversity, and how alike two are."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.profile import TasteProfile, diversity, genre_shares, likeness, mood_shares


def profile(
    genres: list[list[int]], *, moods: object = None, artists: object = None, audio: object = None
) -> TasteProfile:
    n = len(genres)
    members = np.zeros((n, 10), bool)
    for row, places in enumerate(genres):
        members[row, places] = True
    return TasteProfile.of(
        genres=members,
        moods=np.zeros((n, 8)) if moods is None else np.asarray(moods, float),
        artists=np.full(n, -1, np.int32) if artists is None else np.asarray(artists, np.int32),
        audio=np.full((n, 11), np.nan) if audio is None else np.asarray(audio, float),
    )


def test_a_track_counts_once_however_many_genres_it_has() -> None:
    members = np.zeros((3, 10), bool)
    members[0, :4] = members[1, 0] = True
    np.testing.assert_allclose(genre_shares(members)[:5], [0.625, 0.125, 0.125, 0.125, 0.0])
    assert not genre_shares(np.zeros((3, 10), bool)).any()


def test_a_track_counts_for_its_strongest_mood_and_without_audio_for_none() -> None:
    moods = np.zeros((4, 8))
    moods[0, 2], moods[1, 2], moods[2, 5] = 1.0, 0.5, 0.1
    np.testing.assert_allclose(mood_shares(moods)[[2, 5]], [2 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([1.0, 0.0, 0.0, 0.0], 0.0), ([0.25] * 4, 1.0), ([0.5, 0.5, 0.0, 0.0], 0.5), ([0.0] * 4, None)],
)
def test_diversity_is_entropy_over_its_maximum(shares: list[float], expected: float | None) -> None:
    found = diversity(np.asarray(shares))
    assert found == (None if expected is None else pytest.approx(expected))


def test_equal_profiles_are_wholly_alike_and_distant_ones_are_not() -> None:
    full = {"moods": np.eye(8)[:2], "artists": [3, 4], "audio": np.zeros((2, 11))}
    one, same = profile([[0], [1]], **full), profile([[0], [1]], **full)
    np.testing.assert_allclose(likeness(one, same), [1.0, 1.0, 1.0, 1.0])
    other = profile([[5], [6]], moods=np.eye(8)[4:6], artists=[7, 8], audio=np.ones((2, 11)))
    np.testing.assert_allclose(likeness(one, other), [0.0, 0.0, 0.0, 0.5], atol=1e-12)


def test_what_is_not_known_compares_with_nothing() -> None:
    assert np.isnan(likeness(profile([[0]]), profile([[]]))).all()
    assert np.isnan(likeness(profile([]), profile([[1]], artists=[1]))).all()


def test_artists_in_common_count_by_their_smaller_share() -> None:
    one, other = profile([[0]] * 4, artists=[1, 1, 1, 2]), profile([[0]] * 4, artists=[1, 2, 2, 2])
    assert likeness(one, other)[2] == pytest.approx(0.5)
    assert one.artists.tolist() == [1, 2]
