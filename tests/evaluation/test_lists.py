"""What lists are like, against values by hand and loops."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import sparse

from audotics.evaluation.lists import (
    Catalogue,
    artist_fairness,
    coverage,
    diversity,
    exposure,
    gini,
    novelty,
    top_lists,
)
from audotics.features.tracks import TagSets, TrackColumns

EMPTY = -1


def test_the_best_tracks_come_first() -> None:
    scores = np.random.default_rng(0).permuted(np.tile(np.arange(50.0), (20, 1)), axis=1)

    np.testing.assert_array_equal(top_lists(scores, 7), np.argsort(-scores, axis=1)[:, :7])
    np.testing.assert_array_equal(top_lists(scores, 80), np.argsort(-scores, axis=1))


def test_places_stay_empty_when_no_candidate_is_left() -> None:
    scores = np.asarray([[-np.inf, 2.0, -np.inf, 3.0], [1.0, 2.0, 3.0, 4.0]])

    assert top_lists(scores, 3).tolist() == [[3, 1, EMPTY], [3, 2, 1]]


def test_coverage_and_exposure_count_tracks_in_lists() -> None:
    lists = np.asarray([[0, 1], [0, EMPTY], [0, 2]], np.int32)

    assert exposure(lists, 5).tolist() == [3, 1, 1, 0, 0]
    assert coverage(lists, 5) == pytest.approx(3 / 5)


def test_gini_is_half_the_relative_mean_difference() -> None:
    lists = np.random.default_rng(1).integers(0, 12, (30, 4)).astype(np.int32)
    shown = exposure(lists, 15).astype(float)
    expected = np.abs(shown[:, None] - shown).mean() / (2 * shown.mean())

    assert gini(lists, 15) == pytest.approx(expected, abs=1e-12)
    assert gini(np.arange(8, dtype=np.int32).reshape(4, 2), 8) == pytest.approx(0, abs=1e-12)
    assert gini(np.zeros((9, 1), np.int32), 10) == pytest.approx(0.9)


def test_novelty_by_hand() -> None:
    plays = np.asarray([64, 16, 1, 0], np.float32)
    lists = np.asarray([[0, 1], [2, 3], [1, EMPTY]], np.int32)

    assert novelty(lists, plays, 64).tolist() == [1.0, 6.0, 2.0]


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(30, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[[3, 8]] = 0
    lists = np.stack([rng.choice(30, 5, replace=False) for _ in range(40)]).astype(np.int32)
    lists[0] = [3, 1, 2, 8, EMPTY]
    expected = []
    for listed in lists:
        known = [track for track in listed if track not in (3, 8, EMPTY)]
        expected.append(np.mean([1 - vectors[a] @ vectors[b] for a, b in combinations(known, 2)]))

    np.testing.assert_allclose(diversity(lists, sparse.csr_matrix(vectors)), expected, atol=1e-9)


def test_a_single_known_track_has_no_diversity() -> None:
    vectors = sparse.csr_matrix(np.asarray([[1.0], [0.0]]))

    assert np.isnan(diversity(np.asarray([[0, 1]], np.int32), vectors)).all()


def test_exposure_in_proportion_to_plays_is_fair() -> None:
    artists = np.asarray([0, 0, 1, EMPTY])
    plays = np.asarray([2, 1, 1, 50], np.float32)

    assert artist_fairness(np.asarray([[0, 1], [2, 3], [1, EMPTY]], np.int32), artists, plays) == pytest.approx(1.0)
    assert artist_fairness(np.asarray([[2], [2]], np.int32), artists, plays) == pytest.approx(0.25)
    assert artist_fairness(np.asarray([[2]], np.int32), artists, np.asarray([1, 1, 0, 0])) == 0
    assert artist_fairness(np.asarray([[3]], np.int32), artists, plays) == 0


@pytest.fixture
def tracks() -> TrackColumns:
    return TrackColumns.build(
        ["a", "b", "c", "d"],
        artists=["X", "", "Y", "X"],
        tags=TagSets.from_lists([["rock"], ["rock"], ["jazz"], []]),
        plays=np.asarray([4, 2, 1, 1]),
    )


def test_a_catalogue_measures_what_it_knows(tracks: TrackColumns) -> None:
    lists = np.asarray([[0, 1, 3], [0, 2, 3]], np.int32)

    found = Catalogue.of(tracks, n_listeners=4).metrics(lists, 2)

    assert found == {
        "coverage@2": 0.75,
        "gini@2": gini(lists[:, :2], 4),
        "novelty@2": pytest.approx((0.5 + 1.0) / 2),
        "diversity@2": pytest.approx(0.5),
        "artist_fairness@2": pytest.approx(1 - abs(2 / 3 - 5 / 6)),
    }


def test_what_a_catalogue_says_nothing_of_is_left_out() -> None:
    bare = TrackColumns.build(["a", "b"], plays=np.asarray([1, 1]))

    found = Catalogue.of(bare, n_listeners=2).metrics(np.asarray([[0, 1]], np.int32), 2)

    assert set(found) == {"coverage@2", "gini@2", "novelty@2"}
