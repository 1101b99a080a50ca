"""Credit shared by tilts that list the same tracks: right on average, exact where lists agree, and narrow."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audotics.server.learning.credit import Overlap
from audotics.server.learning.judgement import Logged, judge
from audotics.server.learning.policy import NAMES, Drawing, TiltPolicy
from audotics.server.learning.proposal import regret
from audotics.server.storage.decisions import StoredDecision

TILTS = len(NAMES)
SEGMENT = "some tracks"


def lists_of_tilts(random: np.random.Generator, *, tracks: int = 30, length: int = 10) -> NDArray[np.bool_]:
    """Which of some tracks each tilt lists, (tracks, tilts): mostly the same ones."""
    scores = random.normal(0, 1, (tracks, 1)) + random.normal(0, 0.3, (tracks, TILTS))
    return np.asarray(scores >= -np.sort(-scores, axis=0)[length - 1])


def overlap_of(listed: NDArray[np.bool_], tilt: int, chances: NDArray[np.float64]) -> Overlap:
    shown = np.flatnonzero(listed[:, tilt])
    return Overlap.of([str(track) for track in shown], listed[shown], chances)


@given(seed=st.integers(0, 2**32 - 1), exploration=st.floats(0.05, 1.0))
def test_the_mean_over_all_draws_is_what_each_tilt_would_have_earned(seed: int, exploration: float) -> None:
    random = np.random.default_rng(seed)
    chances = TiltPolicy.start("", exploration=exploration).probabilities[0]
    listed, worth = lists_of_tilts(random), random.normal(0, 1, 30)
    rewards = {str(track): float(value) for track, value in enumerate(worth)}
    credits = np.asarray([overlap_of(listed, tilt, chances).credits(rewards) for tilt in range(TILTS)])
    np.testing.assert_allclose(chances @ credits, worth @ listed, atol=1e-9)
    # Weighted by the chances they add up to what the list that was shown has earned.
    np.testing.assert_allclose(credits @ chances, worth @ listed, atol=1e-9)


def test_where_all_lists_are_the_same_all_tilts_earn_the_same() -> None:
    chances = TiltPolicy.start("", exploration=0.1).probabilities[0]
    overlap = Overlap.of(["a", "b"], np.ones((2, TILTS), np.bool_), chances)
    assert overlap.credits({"a": 0.5, "b": -1.0, "elsewhere": 1.0}) == pytest.approx([-0.5] * TILTS)
    assert overlap.credits({}) == [0.0] * TILTS


def test_an_overlap_survives_its_storage_and_is_nothing_to_other_tilts() -> None:
    random = np.random.default_rng(0)
    chances = TiltPolicy.start("", exploration=0.3).probabilities[0]
    overlap = overlap_of(lists_of_tilts(random), 3, chances)
    stored = json.loads(json.dumps(overlap.to_json()))
    assert Overlap.from_json(stored) == overlap
    assert Overlap.from_json({**stored, "of": TILTS + 1}) is None
    assert Overlap.from_json(None) is None


def test_intervals_cover_the_truth_and_are_narrower_than_those_of_single_tilts() -> None:
    """Of 200 intervals of 95 %, some 190 hold what another policy earns more; a third as wide as without credit."""
    random = np.random.default_rng(7)
    start = TiltPolicy.start("", exploration=1.0)
    probabilities = np.zeros_like(start.probabilities)
    probabilities[:, 5] = 1.0
    other = TiltPolicy("", 1, probabilities)
    listed = [lists_of_tilts(random) for _ in range(40)]
    liking = [random.random(30) * 0.2 for _ in range(40)]
    earned = np.asarray([worth @ lists for worth, lists in zip(liking, listed, strict=True)])
    truth = float((earned[:, 5] - earned.mean(axis=1)).mean())
    covered, covered_alone, width, width_alone = 0, 0, 0.0, 0.0
    for seed in range(200):
        decisions = world(start, listed, liking, seed=seed)
        judgement = judge(Logged.of(decisions), start, other)
        difference, alone = judgement.difference, judgement.check
        covered += difference.low <= truth <= difference.high
        covered_alone += alone.low <= truth <= alone.high
        width, width_alone = width + difference.high - difference.low, width_alone + alone.high - alone.low
    assert 180 <= covered <= 198
    assert 180 <= covered_alone <= 198
    assert width < width_alone / 3


def world(
    policy: TiltPolicy, listed: list[NDArray[np.bool_]], liking: list[NDArray[np.float64]], *, seed: int
) -> list[StoredDecision]:
    """Listeners, each with their lists, who like each track of the list that is drawn with a probability of its own."""
    random, drawing = np.random.default_rng(seed), Drawing(policy)
    decisions = []
    for number in range(400):
        who = int(random.integers(len(listed)))
        draw = drawing.draw(SEGMENT, random.random())
        overlap = overlap_of(listed[who], NAMES.index(draw.tilt), np.asarray(draw.chances))
        rewards = {track: 1.0 for track in overlap.tracks if random.random() < liking[who][int(track)]}
        decisions.append(
            StoredDecision(
                f"r{number}",
                "",
                float(number),
                "",
                SEGMENT,
                draw.tilt,
                draw.propensity,
                0,
                reward=sum(rewards.values()),
                credits=overlap.credits(rewards) if rewards else [],
            )
        )
    return decisions


def test_credit_that_is_wrong_is_checked() -> None:
    """Listeners who like the first track alone: a tilt that lists it last loses, and by credit gains."""
    start = TiltPolicy.start("", exploration=1.0)
    random, drawing = np.random.default_rng(1), Drawing(start)
    everywhere, trained_alone = np.ones(TILTS, np.bool_), np.arange(TILTS) == 0
    probabilities = np.zeros_like(start.probabilities)
    probabilities[:, 5] = 1.0
    bad = TiltPolicy("", 1, probabilities)
    decisions = []
    for number in range(3000):
        draw = drawing.draw(SEGMENT, random.random())
        rewards = {"a": float(draw.tilt != NAMES[5])}
        listed = [everywhere]
        if draw.tilt == NAMES[0]:
            rewards["b"], listed = -0.5, [everywhere, trained_alone]
        overlap = Overlap.of(list(rewards), np.asarray(listed), np.asarray(draw.chances))
        decisions.append(
            StoredDecision(
                f"r{number}",
                f"u{number % 300}",
                float(number),
                "",
                SEGMENT,
                draw.tilt,
                draw.propensity,
                0,
                reward=sum(rewards.values()),
                credits=overlap.credits(rewards),
            )
        )
    judgement = judge(Logged.of(decisions), start, bad)
    assert judgement.difference.low > 0
    assert judgement.check.high < 0
    back = regret(bad, start, lists=decisions)
    assert back is not None
    assert back.difference.low < 0 < back.check.low
