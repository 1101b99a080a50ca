"""Policies over tilts: what they draw, how far they go in a step, and how they are stored."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from audotics.features.tilts import AS_TRAINED, TILTS
from audotics.server.learning.policy import NAMES, Drawing, TiltPolicy
from audotics.server.learning.segments import SEGMENTS, segment_of


@pytest.mark.parametrize(
    ("length", "asked", "segment"),
    [
        (0, False, "new"),
        (1, False, "few tracks"),
        (4, True, "few tracks, context"),
        (5, False, "some tracks"),
        (19, False, "some tracks"),
        (20, True, "many tracks, context"),
    ],
)
def test_segments(length: int, asked: bool, segment: str) -> None:
    assert segment_of(length, asked=asked) == segment
    assert segment in SEGMENTS


def test_propensities_are_how_often_tilts_are_drawn() -> None:
    random = np.random.default_rng(1)
    policy = TiltPolicy("", 7, random.dirichlet(np.ones(len(NAMES)), len(SEGMENTS)))
    drawing = Drawing(policy)
    for segment in SEGMENTS:
        chances = (np.arange(2_000) + 0.5) / 2_000
        drawn = [drawing.draw(segment, chance) for chance in chances]
        counts = Counter(draw.tilt for draw in drawn)
        propensities = {draw.tilt: draw.propensity for draw in drawn}
        assert sum(policy.to_json()[segment].values()) == pytest.approx(1.0)
        for name, count in counts.items():
            assert count / 2_000 == pytest.approx(propensities[name], abs=2e-3)
        assert {draw.policy for draw in drawn} == {7}
        assert all(draw.factors == TILTS[draw.tilt] for draw in drawn)


def test_before_anything_is_learned_most_lists_are_as_trained() -> None:
    start = TiltPolicy.start("a", exploration=0.13).to_json()
    for row in start.values():
        assert row.pop(AS_TRAINED) == pytest.approx(0.88)
        assert list(row.values()) == pytest.approx([0.01] * 12)


def test_a_step_is_bounded_in_each_segment() -> None:
    policy = TiltPolicy.start("", exploration=0.1)
    near, far = policy.probabilities.copy(), np.zeros_like(policy.probabilities)
    near[:, :2] += [[-0.05, 0.05]]
    far[:, 3] = 1.0
    target = np.where(np.arange(len(SEGMENTS))[:, None] < 2, near, far)
    stepped = policy.towards(target, step=0.2)
    distance = 0.5 * np.abs(stepped - policy.probabilities).sum(axis=1)
    assert distance[:2] == pytest.approx(0.05)
    assert distance[2:] == pytest.approx(0.2)
    assert stepped.sum(axis=1) == pytest.approx(1.0)
    assert (stepped >= 0).all()


def test_a_policy_survives_its_storage_and_a_change_of_the_tilts() -> None:
    random = np.random.default_rng(1)
    policy = TiltPolicy("a", 3, random.dirichlet(np.ones(len(NAMES)), len(SEGMENTS)))
    value = policy.to_json()
    assert np.allclose(TiltPolicy.from_json("a", 3, value, exploration=0.1).probabilities, policy.probabilities)
    first = value[SEGMENTS[0]]
    first["more of something gone"] = first.pop("more sequence")
    del value[SEGMENTS[1]]
    opened = TiltPolicy.from_json("a", 3, value, exploration=0.1)
    assert opened.probabilities.sum(axis=1) == pytest.approx(1.0)
    assert opened.to_json()[SEGMENTS[0]]["more sequence"] == 0.0
    assert opened.to_json()[SEGMENTS[0]][AS_TRAINED] == pytest.approx(
        first[AS_TRAINED] + first["more of something gone"]
    )
    assert opened.to_json()[SEGMENTS[1]] == TiltPolicy.start("a", exploration=0.1).to_json()[SEGMENTS[1]]
