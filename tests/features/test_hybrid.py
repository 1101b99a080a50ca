"""Inputs of the hybrid: component scores against naive loops, and what is not known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.features.content import Embeddings
from audotics.features.genres import GENRES
from audotics.features.hybrid import (
    COMPONENTS,
    CONTEXT_FEATURES,
    artist_matches,
    content_scores,
    context_scores,
    hybrid_inputs,
    popularity_scores,
)
from audotics.features.moods import MOODS


def unit_rows(n: int, d: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def embeddings(n: int, d: int, seed: int) -> Embeddings:
    return Embeddings(unit_rows(n, d, seed), np.random.default_rng(seed).uniform(0.1, 3, n).astype(np.float32))


@given(st.integers(0, 12), st.integers(1, 12), st.integers(0, 1000))
def test_content_scores_are_mean_cosines_times_lengths(n_candidates: int, length: int, seed: int) -> None:
    candidates, history = embeddings(n_candidates, 4, seed), unit_rows(length, 4, seed + 1)

    expected = []
    for candidate, own in zip(candidates.vectors, candidates.lengths, strict=True):
        cosines = [float(candidate @ heard) for heard in history]
        expected.append(float(own) * sum(cosines) / len(cosines))
    np.testing.assert_allclose(content_scores(candidates, history), expected, atol=1e-6)


def test_content_has_no_opinion_on_a_new_listener() -> None:
    scores = content_scores(embeddings(3, 4, 0), np.zeros((0, 4), np.float32))

    assert scores.shape == (3,)
    assert np.isnan(scores).all()


@pytest.fixture
def moods() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, len(MOODS))).astype(np.float32)


@pytest.fixture
def genres() -> np.ndarray:
    """Fits: track 0 is rock, 1 is jazz, 2 is both, 3 is neither and sounds like a little of both."""
    matrix = np.full((4, len(GENRES)), -1, np.float32)
    matrix[[0, 2], GENRES.index("rock")] = 1
    matrix[[1, 2], GENRES.index("jazz")] = 1
    matrix[3, [GENRES.index("rock"), GENRES.index("jazz")]] = (-0.75, -0.5)
    return matrix


def test_context_scores_of_a_mood(moods: np.ndarray, genres: np.ndarray) -> None:
    scores = context_scores(moods, genres, mood="happy", wanted_genres=())

    np.testing.assert_array_equal(scores, moods[:, MOODS.index("happy")])


def test_context_scores_of_genres_match_any(moods: np.ndarray, genres: np.ndarray) -> None:
    assert context_scores(moods, genres, mood=None, wanted_genres=["rock"]).tolist() == [1, -1, 1, -0.75]
    assert context_scores(moods, genres, mood=None, wanted_genres=["rock", "jazz"]).tolist() == [1, 1, 1, -0.5]


def test_context_scores_of_both_add_up(moods: np.ndarray, genres: np.ndarray) -> None:
    both = context_scores(moods, genres, mood="chill", wanted_genres=["jazz"])

    mood = context_scores(moods, genres, mood="chill", wanted_genres=())
    genre = context_scores(moods, genres, mood=None, wanted_genres=["jazz"])
    np.testing.assert_allclose(both, mood + genre, rtol=1e-6)


def test_context_has_no_opinion_when_nothing_is_asked_for(moods: np.ndarray, genres: np.ndarray) -> None:
    assert np.isnan(context_scores(moods, genres, mood=None, wanted_genres=())).all()


def test_popularity_scores_are_logarithms_up_to_the_most_played() -> None:
    scores = popularity_scores(np.asarray([0, 9, 99], np.float32))

    np.testing.assert_allclose(scores, [0, 0.5, 1], atol=1e-6)


def test_tracks_that_nobody_plays_do_not_move_the_popularity_of_others() -> None:
    alone = popularity_scores(np.asarray([3, 9], np.float32))

    np.testing.assert_array_equal(popularity_scores(np.asarray([3, 9, *[0] * 100], np.float32))[:2], alone)


@pytest.mark.parametrize("plays", [[], [0, 0, 0]])
def test_popularity_without_plays_is_zero(plays: list[float]) -> None:
    assert popularity_scores(np.asarray(plays, np.float32)).tolist() == [0] * len(plays)


def test_what_is_missing_is_zero_and_marked() -> None:
    nan = float("nan")
    inputs = hybrid_inputs(
        collaborative=np.asarray([0.5, nan, -1.0], np.float32),
        ncf=None,
        content=np.asarray([nan, nan, 0.25], np.float32),
        context=np.asarray([1.0, -1.0, nan], np.float32),
        popularity=np.asarray([0.0, 1.0, 2.0], np.float32),
        cold_tracks=np.asarray([True, False, False]),
        history_length=9,
        sequence=np.asarray([nan, 0.5, 0.0], np.float32),
        artists=artist_matches(np.asarray([-1, 4, 8]), np.asarray([4, 6, -1, 4])),
    )

    assert COMPONENTS == ("collaborative", "ncf", "content", "context", "popularity", "sequence")
    assert inputs.components.tolist() == [[0.5, 0, 0, 1, 0, 0], [0, 0, 0, -1, 1, 0.5], [-1, 0, 0.25, 0, 2, 0]]
    assert inputs.available.tolist() == [[1, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 1, 1]]
    situation = {name: inputs.context[:, index].tolist() for index, name in enumerate(CONTEXT_FEATURES)}
    assert situation == {
        "history_length": [pytest.approx(math.log1p(9) / 5)] * 3,
        "cold_listener": [0, 0, 0],
        "has_context": [1, 1, 0],
        "track_plays": [0, 1, 2],
        "cold_track": [1, 0, 0],
        "artist_heard": [0, pytest.approx(math.log(3)), 0],
        "artist_last": [0, 1, 0],
    }
    assert {name: value.dtype for name, value in inputs.feeds().items()} == dict.fromkeys(
        ("components", "available", "context"), np.float32
    )


@given(st.lists(st.integers(-1, 5), max_size=8), st.lists(st.integers(-1, 5), max_size=8))
def test_artists_are_counted_in_the_history(candidates: list[int], history: list[int]) -> None:
    matches = artist_matches(np.asarray(candidates, np.int32), np.asarray(history, np.int32))

    assert matches.heard.tolist() == [history.count(artist) if artist >= 0 else 0 for artist in candidates]
    assert matches.last.tolist() == [bool(history) and artist == history[-1] >= 0 for artist in candidates]


def test_a_new_listener_is_marked() -> None:
    inputs = hybrid_inputs(
        collaborative=None,
        ncf=None,
        content=None,
        context=None,
        popularity=np.zeros(2, np.float32),
        cold_tracks=np.zeros(2, np.bool_),
        history_length=0,
    )

    assert inputs.context[:, :2].tolist() == [[0, 1], [0, 1]]
