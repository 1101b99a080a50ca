"""Genres: which tags name them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.features.audio import AUDIO_FEATURES, AudioScaler
from audotics.features.genres import GENRES, genre_columns, genre_fits, genre_matrix, genre_sounds, genres_of_tag
from audotics.features.rules import GENRE_BY_SOUND, GENRE_WEIGHTS
from audotics.features.tracks import TagSets


@pytest.mark.parametrize(
    ("tag", "genres"),
    [
        ("pop", {"pop"}),
        ("synthpop", {"pop", "electronic"}),
        ("k-pop", {"pop"}),
        ("popular", set()),
        ("indie rock", {"indie", "rock"}),
        ("post-punk", {"rock"}),
        ("death metal", {"rock"}),
        ("metallica", set()),
        ("Hip Hop", {"hip-hop"}),
        ("hip-hop", {"hip-hop"}),
        ("trap", {"hip-hop"}),
        ("therapy", set()),
        ("deep house", {"electronic"}),
        ("acid jazz", {"jazz"}),
        ("jazzy", {"jazz"}),
        ("electro swing", {"electronic", "jazz"}),
        ("new jack swing", set()),
        ("orchestral", {"classical"}),
        ("classic rock", {"rock"}),
        ("alt-country", {"country", "alternative"}),
        ("rnb", {"r&b"}),
        ("R&B", {"r&b"}),
        ("r and b", {"r&b"}),
        ("neo soul", {"r&b"}),
        ("alternative", {"alternative"}),
        ("favourites", set()),
        ("seen live", set()),
        ("", set()),
    ],
)
def test_genres_of_a_tag(tag: str, genres: set[str]) -> None:
    assert set(genres_of_tag(tag)) == genres


@pytest.mark.parametrize("genre", GENRES)
def test_each_genre_names_itself(genre: str) -> None:
    assert genre in genres_of_tag(genre)


@given(st.lists(st.lists(st.sampled_from(["indie rock", "rnb", "favourites", "synthpop", "jazz"]), max_size=3)))
def test_a_track_has_the_genres_of_its_tags(rows: list[list[str]]) -> None:
    matrix = genre_matrix(TagSets.from_lists(rows))

    expected = [{genre for tag in row for genre in genres_of_tag(tag)} for row in rows]
    assert [{GENRES[column] for column in np.flatnonzero(row)} for row in matrix] == expected


def test_columns_of_named_genres() -> None:
    assert genre_columns(["Rock", " jazz "]).tolist() == [GENRES.index("rock"), GENRES.index("jazz")]
    assert genre_columns([]).tolist() == []


def test_an_unknown_genre_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown genre 'polka'; known genres: pop, rock, .*alternative"):
        genre_columns(["rock", "polka"])


def test_every_genre_has_rules_on_features_there_are() -> None:
    assert tuple(GENRE_WEIGHTS) == GENRES
    for weights in GENRE_WEIGHTS.values():
        assert weights
        assert set(weights) <= set(AUDIO_FEATURES)


@pytest.fixture
def audio() -> np.ndarray:
    """A hundred tracks around the middle, and in front of them one that talks and one of which nothing is known."""
    audio = np.random.default_rng(0).normal(0.4, 0.1, (102, len(AUDIO_FEATURES))).astype(np.float32)
    audio[0, [AUDIO_FEATURES.index("speechiness"), AUDIO_FEATURES.index("danceability")]] = 0.8
    audio[1] = np.nan
    return audio


def test_sounds_have_one_scale_and_nothing_is_said_of_the_unknown(audio: np.ndarray) -> None:
    sounds = genre_sounds(audio, AudioScaler.fit(audio))
    assert sounds.shape == (102, len(GENRES))
    np.testing.assert_allclose(sounds[2:].std(axis=0), 1.0, atol=0.3)
    assert GENRES[int(sounds[0].argmax())] == "hip-hop"
    assert not sounds[1].any()


def test_sound_speaks_where_no_tag_does_and_never_as_loud(audio: np.ndarray) -> None:
    genres = np.zeros((len(audio), len(GENRES)), np.bool_)
    genres[2, GENRES.index("jazz")] = True
    fits = genre_fits(genres, audio, AudioScaler.fit(audio))
    hip_hop = GENRES.index("hip-hop")
    assert fits[0, hip_hop] == pytest.approx(GENRE_BY_SOUND)
    assert (fits[1] == -1).all()
    assert fits[2].tolist() == np.where(np.arange(len(GENRES)) == GENRES.index("jazz"), 1.0, -1.0).tolist()
    untagged = np.delete(fits, 2, axis=0)
    assert untagged.min() == -1
    assert untagged.max() <= GENRE_BY_SOUND < 1


def test_tags_and_sounds_of_nothing(audio: np.ndarray) -> None:
    empty = genre_fits(np.zeros((0, len(GENRES)), np.bool_), audio[:0], AudioScaler.fit(audio))
    assert empty.shape == (0, len(GENRES))
