"""Single stages on arrays: the choice of a list, relevance without the hybrid, interests, and the cache."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audotics.features.listener_features import RECENT
from audotics.server.pipeline.lru import LruCache
from audotics.server.pipeline.relevance import Relevance
from audotics.server.pipeline.reranking import select, utility
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.signals import Signals
from audotics.server.types import Objectives


@st.composite
def scored_rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(0, 60))
    values = draw(hnp.arrays(np.float32, n, elements=st.floats(-5, 5, width=32)))
    return values, draw(hnp.arrays(np.int32, n, elements=st.integers(-1, 8)))


def choose(values, artists, *, embeddings=None, limit=5, diversity=0.0, artist_cap=2):
    return select(
        np.asarray(values, np.float32),
        embed=lambda places: None if embeddings is None else embeddings[places],
        artists=np.asarray(artists, np.int32),
        limit=limit,
        diversity=diversity,
        artist_cap=artist_cap,
    ).tolist()


@given(scored_rows(), st.integers(1, 70), st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 3))
def test_a_list_is_as_long_as_can_be_and_keeps_the_cap_while_it_can(rows, limit, diversity, cap):
    values, artists = rows
    places = choose(values, artists, limit=limit, diversity=diversity, artist_cap=cap)
    assert len(places) == len(set(places)) == min(limit, len(values))
    counts = {artist: int(np.sum(artists == artist)) for artist in set(artists.tolist()) - {-1}}
    within_cap = int(np.sum(artists == -1)) + sum(min(cap, count) for count in counts.values())
    if len(places) <= within_cap:
        chosen = artists[places].tolist()
        assert all(chosen.count(artist) <= cap for artist in counts)


def test_the_cap_keeps_an_artists_best_tracks():
    assert choose([5, 4, 3, 2, 1], [0, 0, 0, 1, 1], limit=4) == [0, 1, 3, 4]
    assert choose([5, 4, 3, 2, 1], [0, 0, 0, 1, 1], limit=5) == [0, 1, 3, 4, 2]
    assert choose([5, 4, 3, 2, 1], [-1, -1, -1, 1, 1], limit=4) == [0, 1, 2, 3]


def test_diversity_prefers_what_is_different_from_what_was_chosen():
    embeddings = np.asarray([[1, 0], [1, 0], [0, 1]], np.float32)
    artists = [0, 1, 2]
    assert choose([3, 2.9, 2], artists, embeddings=embeddings, limit=2) == [0, 1]
    assert choose([3, 2.9, 2], artists, embeddings=embeddings, limit=2, diversity=0.6) == [0, 2]


def test_diversity_looks_at_all_that_was_chosen_and_opposites_are_no_better_than_others():
    first_again = np.asarray([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    assert choose([3, 2.9, 2.8, 2], range(4), embeddings=first_again, limit=3, diversity=0.6) == [0, 1, 3]
    opposite = np.asarray([[1, 0], [-1, 0], [0, 1]], np.float32)
    assert choose([3, 2, 2.1], range(3), embeddings=opposite, limit=2, diversity=0.6) == [0, 2]


def test_diversity_is_sought_among_the_best():
    """The best fifty are alike, those behind them are not, and too far behind."""
    embeddings = np.eye(1, 60, dtype=np.float32).repeat(60, axis=0)
    embeddings[50:] = np.eye(60, dtype=np.float32)[50:]
    values = np.linspace(1.0, 0.9, 60)
    assert choose(values, range(60), embeddings=embeddings, limit=2, diversity=0.9) == [0, 1]
    assert choose(values, range(60), embeddings=embeddings, limit=20, diversity=0.9)[1] == 50


def test_objectives_are_mixed_by_weight_and_relevance_alone_is_the_score_itself():
    score, rows = np.asarray([2.0, 4.0, 6.0], np.float32), np.asarray([3, 1, 2])
    signals = Signals(
        popularity=np.asarray([9, 0, 1, 2], np.float32),
        freshness=np.asarray([9, 1, 0, 0], np.float32),
        exposure=np.asarray([9, 3, 3, 3], np.float32),
        popular_order=np.arange(4, dtype=np.int32),
        cold=np.zeros(4, np.bool_),
        _made_of=(),
    )

    def mixed(**weights):
        return utility(score, rows, signals=signals, objectives=Objectives(**weights))

    assert mixed(relevance=0.3) is score
    one, popular = np.asarray([-1, 0, 1]) * 1.5**0.5, np.asarray([1, -1, 0]) * 1.5**0.5
    np.testing.assert_allclose(mixed(relevance=2.0, popularity=0.5), 2 * one + 0.5 * popular, rtol=1e-5)
    np.testing.assert_allclose(mixed(relevance=1.0, novelty=0.5), one - 0.5 * popular, rtol=1e-5)
    np.testing.assert_allclose(mixed(relevance=0.0, novelty=1.0), -popular, rtol=1e-5)
    np.testing.assert_allclose(mixed(relevance=0.0, freshness=2.0), 2 * np.asarray([-1, 2, -1]) / 2**0.5, rtol=1e-5)
    np.testing.assert_allclose(mixed(relevance=1.0, artist_fairness=5.0), one, rtol=1e-5)  # all are as exposed
    assert mixed(relevance=0.0).tolist() == [0.0, 0.0, 0.0]
    score, rows = score[:0], rows[:0]
    assert mixed(relevance=1.0, novelty=1.0).tolist() == []


def test_without_embeddings_diversity_goes_by_artist():
    assert choose([3, 2.9, 2], [0, 0, 1], limit=2, diversity=0.6) == [0, 2]
    assert choose([3, 2.9, 2], [-1, -1, 1], limit=2, diversity=0.6) == [0, 1]  # nobody knows that they are the same


def test_the_fallback_shares_the_weights_out_over_what_there_is():
    components = np.asarray([[1, 0, 0, 0, 2, 0], [3, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0]], np.float32)
    available = np.asarray([[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0], [0, 0, 0, 0, 1, 0]], bool)
    relevance = Relevance.fallback(components, available)
    np.testing.assert_allclose(relevance.weights.sum(axis=1), 1.0, rtol=1e-6)
    assert (relevance.weights[~available] == 0).all()
    assert relevance.score[1] > relevance.score[0]
    assert (relevance.confidence == 0).all()
    for row in range(3):
        parts = relevance.contributions(row)
        assert len(parts) == available[row].sum()
        assert sum(part.contribution for part in parts) == pytest.approx(relevance.score[row], abs=1e-6)


def test_the_fallback_compares_what_is_on_one_scale():
    components = np.zeros((3, 6), np.float32)
    components[:, 0], components[:, 4] = [10, 30, 50], [7, 7, 7]
    available = np.zeros((3, 6), bool)
    available[:, [0, 4]] = True
    relevance = Relevance.fallback(components, available)
    np.testing.assert_allclose(relevance.components[:, 0], np.asarray([-1, 0, 1]) * 1.5**0.5, rtol=1e-5)
    np.testing.assert_allclose(relevance.components[:, 4], 0.0)
    np.testing.assert_allclose(relevance.weights[0, [0, 4]], [0.3 / 0.35, 0.05 / 0.35], rtol=1e-5)


def test_a_tilt_shifts_weights_of_what_is_there():
    components = np.asarray([[1, 2, 0, 0, 0, 9], [2, 1, 0, 0, 0, 9]], np.float32)
    available = np.asarray([[1, 1, 0, 0, 0, 0]] * 2, bool)
    weights = np.where(available, np.float32(0.5), np.float32(0.1))
    plain = Relevance(np.zeros(2, np.float32), np.full(2, 0.7, np.float32), weights, components, available)
    assert plain.tilted([1.0] * 6) is plain
    tilted = plain.tilted([1.0, 3.0, 1.0, 1.0, 1.0, 1.0])
    expected = (tilted.weights[:, :2] * components[:, :2]).sum(axis=1)
    np.testing.assert_allclose(tilted.score, expected, rtol=1e-5)
    assert tilted.score[0] > tilted.score[1]
    np.testing.assert_allclose(tilted.weights[:, 1] / tilted.weights[:, 0], 3.0, rtol=1e-5)
    assert tilted.confidence is plain.confidence


def taste_of(*sounds: tuple[float, float]) -> Taste:
    vectors = np.asarray(sounds, np.float32).reshape(-1, 2)
    return Taste(np.arange(len(vectors)), len(vectors), None, vectors, ())


def test_interests_cover_what_a_listener_hears():
    two_sides = taste_of((1, 0), (1, 0), (1, 0), (0, 1)).interests(3)
    assert len(two_sides) == 2  # near their mean, and the one that is not
    np.testing.assert_allclose(np.linalg.norm(two_sides, axis=1), 1.0, rtol=1e-6)
    assert two_sides[1].tolist() == [0.0, 1.0]
    assert len(taste_of((1, 0), (1, 0)).interests(3)) == 1
    assert len(taste_of((1, 0), (-1, 0)).interests(3)) == 2  # a mean of length zero is no interest
    assert len(taste_of().interests(3)) == 0
    long_ago = taste_of((0, 1), *[(1, 0)] * RECENT)
    assert len(long_ago.interests(3)) == 1


def test_the_cache_forgets_what_was_not_used_for_longest():
    cache: LruCache[str, list[str]] = LruCache(2)
    first = cache.get("a", lambda: ["a"])
    cache.get("b", lambda: ["b"])
    assert cache.get("a", lambda: ["another"]) is first
    cache.get("c", lambda: ["c"])
    assert cache.get("a", lambda: ["another"]) is first
    assert cache.get("b", lambda: ["made again"]) == ["made again"]
