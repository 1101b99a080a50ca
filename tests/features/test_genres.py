"""Genres: which tags name them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.features.genres import GENRES, genre_columns, genre_matrix, genres_of_tag
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
