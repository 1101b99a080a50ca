"""Strategies of groups hold what they promise, for any worths and weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audotics.evaluation import groups as evaluation
from audotics.server.pipeline import groups
from audotics.server.pipeline.groups import Variety

PATIENTLY = settings(deadline=None, max_examples=50)
UNIT = st.floats(0.0, 1.0, width=32)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Worths (m, n) and the shares of m members, one of them above 0."""
    m, n = draw(st.integers(1, 6)), draw(st.integers(1, 30))
    worth = draw(arrays(np.float64, (m, n), elements=UNIT))
    weights = draw(arrays(np.float64, m, elements=st.floats(0.0, 5.0)))
    assume(weights.max() > 1e-3)
    return worth, groups.shares(np.where(weights > 1e-3, weights, 0.0))


def anything_goes(n: int, *, diversity: float = 0.0, cap: int = 1000) -> Variety:
    return Variety(np.zeros((n, n), np.float32), np.arange(n, dtype=np.int32), diversity, cap)


@PATIENTLY
@given(arrays(np.float32, (3, 8), elements=st.floats(-100, 100, width=32)))
def test_worths_keep_the_order_of_each_member_between_0_and_1(scores: np.ndarray) -> None:
    worth = groups.worths(scores)
    assert worth.min() >= 0.0
    assert (worth.max(axis=1) == 1.0).all()
    for own, before in zip(worth, scores, strict=True):
        order = np.argsort(before, kind="stable")
        assert (np.diff(own[order]) >= 0).all()


@PATIENTLY
@given(tables())
def test_strategies_lie_between_their_bounds(table: tuple[np.ndarray, np.ndarray]) -> None:
    worth, weights = table
    having_say = worth[weights > 0]
    mean = groups.average(worth, weights)
    assert (mean >= having_say.min(axis=0) - 1e-9).all()
    assert (mean <= having_say.max(axis=0) + 1e-9).all()
    assert (groups.most_pleasure(worth, weights) <= having_say.max(axis=0) + 2e-4).all()
    assert (groups.least_misery(worth, weights) >= having_say.min(axis=0) - 1e-9).all()


@PATIENTLY
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_matter(table: tuple[np.ndarray, np.ndarray], random: object) -> None:
    worth, weights = table
    order = np.random.default_rng(random.randint(0, 99)).permutation(len(worth))  # type: ignore[attr-defined]
    for strategy in (groups.average, groups.least_misery, groups.most_pleasure):
        np.testing.assert_allclose(strategy(worth, weights), strategy(worth[order], weights[order]), atol=1e-12)


@PATIENTLY
@given(tables())
def test_a_member_without_weight_has_no_say(table: tuple[np.ndarray, np.ndarray]) -> None:
    worth, weights = table
    more, silent = np.vstack([worth, 1.0 - worth[:1]]), np.append(weights, 0.0)
    for strategy in (groups.average, groups.least_misery, groups.most_pleasure):
        np.testing.assert_allclose(strategy(worth, weights), strategy(more, silent), atol=1e-12)
    variety = anything_goes(worth.shape[1])
    alone, _ = groups.fair_turns(worth, weights, limit=5, variety=variety)
    beside, _ = groups.fair_turns(more, silent, limit=5, variety=variety)
    assert alone.tolist() == beside.tolist()


def test_shares_are_those_of_weights_of_any_size() -> None:
    for size in (1e-300, 1.0, 8e307):
        np.testing.assert_allclose(groups.shares(size * np.asarray([2.0, 1.0, 0.0, 1.0])), [0.5, 0.25, 0.0, 0.25])


def test_equal_weights_are_the_plain_definitions() -> None:
    worth = np.asarray([[0.2, 0.9, 0.5], [0.8, 0.1, 0.5]])
    equal = groups.shares(np.ones(2))
    np.testing.assert_allclose(groups.average(worth, equal), [0.5, 0.5, 0.5])
    assert groups.least_misery(worth, equal).argmax() == 2
    assert groups.most_pleasure(worth, equal).argmax() == 1


def test_of_tracks_that_a_strategy_holds_equal_the_mean_decides() -> None:
    equal = groups.shares(np.ones(2))
    assert groups.least_misery(np.asarray([[0.5, 0.5, 0.51], [0.5, 0.9, 0.51]]), equal).argsort().tolist() == [0, 1, 2]
    assert groups.most_pleasure(np.asarray([[0.9, 0.9, 0.91], [0.1, 0.5, 0.1]]), equal).argsort().tolist() == [0, 1, 2]
    places, _ = groups.fair_turns(
        np.asarray([[0.9, 0.9], [0.1, 0.5]]), np.asarray([0.6, 0.4]), limit=1, variety=anything_goes(2)
    )
    assert places.tolist() == [1]


@PATIENTLY
@given(tables(), st.integers(1, 10))
def test_satisfaction_and_harmony_are_those_of_the_evaluation(table: tuple[np.ndarray, np.ndarray], limit: int) -> None:
    worth, weights = table
    places, _ = groups.fair_turns(worth, weights, limit=limit, variety=anything_goes(worth.shape[1]))
    satisfaction = groups.satisfaction(worth, places)
    np.testing.assert_allclose(satisfaction, evaluation.member_satisfaction(worth, places), atol=1e-9)
    assert groups.harmony(satisfaction) == pytest.approx(evaluation.harmony(satisfaction), abs=1e-9)
    assert (satisfaction <= 1.0 + 1e-9).all()


@PATIENTLY
@given(tables(), st.integers(1, 10))
def test_a_turn_goes_to_whoever_has_got_least(table: tuple[np.ndarray, np.ndarray], limit: int) -> None:
    worth, weights = table
    places, turns = groups.fair_turns(worth, weights, limit=limit, variety=anything_goes(worth.shape[1]))
    assert len(set(places.tolist())) == len(places) == min(limit, worth.shape[1])
    attainable = groups.best_worth(worth, len(places))
    attainable[attainable == 0] = 1.0
    for number, (place, member) in enumerate(zip(places, turns, strict=True)):
        assert weights[member] > 0
        got = worth[:, places[:number]].sum(axis=1) / attainable
        having_say = weights > 0
        assert got[member] / weights[member] <= (got[having_say] / weights[having_say]).min() + 1e-9
        left = np.setdiff1d(np.arange(worth.shape[1]), places[:number])
        assert worth[member, place] >= worth[member, left].max() - 1e-4


def test_weights_share_out_the_turns() -> None:
    worth = np.kron(np.eye(2), np.ones(30))  # each member has 30 tracks that only they like
    _, turns = groups.fair_turns(worth, np.asarray([0.75, 0.25]), limit=20, variety=anything_goes(60))
    assert np.bincount(turns).tolist() == [15, 5]


@PATIENTLY
@given(tables(), st.integers(1, 8), UNIT)
def test_the_floor_never_makes_the_lack_greater(table: tuple[np.ndarray, np.ndarray], limit: int, floor: float) -> None:
    worth, weights = table
    first = np.argsort(-groups.average(worth, weights), kind="stable")[:limit]
    variety = anything_goes(worth.shape[1])
    places, helped = groups.raise_floor(worth, weights, first, floor=floor, variety=variety)

    def lack(chosen: np.ndarray) -> float:
        satisfaction = groups.satisfaction(worth, chosen)[weights > 0]
        return float(np.maximum(floor - satisfaction, 0.0).sum())

    assert len(set(places.tolist())) == len(first)
    assert lack(places) <= lack(first) + 1e-9
    assert ((helped == -1) == (places == first)).all() or lack(places) < lack(first)
    again, _ = groups.raise_floor(worth, weights, places, floor=floor, variety=variety)
    assert lack(again) == pytest.approx(lack(places), abs=1e-6)


def test_of_those_who_have_got_as_little_the_one_of_most_weight_is_first() -> None:
    worth = np.kron(np.eye(3), np.ones(5))
    _, turns = groups.fair_turns(worth, np.asarray([0.2, 0.5, 0.3]), limit=3, variety=anything_goes(15))
    assert turns.tolist() == [1, 2, 0]


def test_a_floor_is_for_members_of_weight_to_whom_anything_is_worth_something() -> None:
    worth = np.concatenate([np.kron(np.eye(3), np.ones(10)), np.zeros((1, 30))])[[2, 0, 1, 3]]
    weights = groups.shares(np.asarray([0.0, 4.0, 1.0, 1.0]))
    first = np.arange(10)  # everything for the second member
    places, helped = groups.raise_floor(worth, weights, first, floor=0.3, variety=anything_goes(30))
    assert groups.satisfaction(worth, places).tolist() == [0.0, 0.7, 0.3, 1.0]
    assert sorted(helped.tolist()) == [-1] * 7 + [2] * 3


def test_what_is_worth_least_to_the_group_makes_room_and_the_cap_on_artists_holds() -> None:
    worth = np.asarray([[1.0, 0.8, 0.9, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.9, 0.8]])
    equal = groups.shares(np.ones(2))
    places, _ = groups.raise_floor(worth, equal, np.arange(3), floor=0.3, variety=anything_goes(6))
    assert places.tolist() == [0, 3, 2]
    worth = np.asarray([[*np.ones(6), 0.0, 0.0, 0.0], [*np.zeros(6), 1.0, 0.9, 0.8]])
    artists = np.asarray([0, 1, 2, 3, 4, 5, 6, 6, 7], np.int32)
    capped = Variety(np.zeros((9, 9), np.float32), artists, 0.0, 1)
    places, _ = groups.raise_floor(worth, equal, np.arange(6), floor=0.5, variety=capped)
    assert sorted(places.tolist())[-3:] == [5, 6, 8]


def test_an_attainable_floor_is_reached() -> None:
    worth = np.kron(np.eye(4), np.ones(10))
    weights = groups.shares(np.asarray([10.0, 1.0, 1.0, 1.0]))
    first = np.arange(8)  # everything for the first member
    places, helped = groups.raise_floor(worth, weights, first, floor=0.25, variety=anything_goes(40))
    assert groups.satisfaction(worth, places).tolist() == [0.25] * 4
    assert sorted(helped.tolist()) == [-1, -1, 1, 1, 2, 2, 3, 3]


def test_a_cap_on_artists_holds_until_nothing_else_is_left() -> None:
    worth = np.linspace(1.0, 0.1, 10)[None]
    artists = np.asarray([0] * 6 + [1, 1, 2, -1], np.int32)
    variety = Variety(np.zeros((10, 10), np.float32), artists, 0.0, 2)
    places, _ = groups.fair_turns(worth, np.ones(1), limit=7, variety=variety)
    assert places.tolist() == [0, 1, 6, 7, 8, 9, 2]
    unknown = Variety(np.zeros((10, 10), np.float32), np.full(10, -1, np.int32), 0.0, 2)
    assert groups.fair_turns(worth, np.ones(1), limit=5, variety=unknown)[0].tolist() == [0, 1, 2, 3, 4]


def test_diversity_keeps_what_is_alike_apart() -> None:
    worth = np.asarray([[1.0, 0.95, 0.5]])
    alike = np.asarray([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32)
    variety = Variety(alike, np.arange(3, dtype=np.int32), 0.5, 3)
    places, _ = groups.fair_turns(worth, np.ones(1), limit=2, variety=variety)
    assert places.tolist() == [0, 2]
    worth = np.asarray([[1.0, 0.95, 0.9, 0.5]])
    alike = np.eye(4, dtype=np.float32)
    alike[0, 2] = alike[2, 0] = 1  # what is like the first is not forgotten at the third
    variety = Variety(alike, np.arange(4, dtype=np.int32), 0.5, 3)
    places, _ = groups.fair_turns(worth, np.ones(1), limit=3, variety=variety)
    assert places.tolist() == [0, 1, 3]
