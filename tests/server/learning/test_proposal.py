"""Proposals on logs with a known answer: what pays is found, what does not is dropped, what harms is gone back from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from audotics.features.tilts import AS_TRAINED
from audotics.server.learning.judgement import Logged, judge
from audotics.server.learning.policy import NAMES, Drawing, TiltPolicy
from audotics.server.learning.proposal import StepLimits, propose, regret
from audotics.server.learning.segments import SEGMENTS
from audotics.server.learning.thompson import Posterior, best_probabilities
from audotics.server.storage.decisions import StoredDecision

Mean = Callable[[str, str], float]
GOOD = "more sequence"


def nothing_matters(segment: str, tilt: str) -> float:
    return 0.3


def one_pays(segment: str, tilt: str) -> float:
    return 0.7 if tilt == GOOD and segment == "few tracks" else 0.3


def one_harms(segment: str, tilt: str) -> float:
    return 0.1 if tilt == GOOD else 0.3


def logged(policy: TiltPolicy, mean: Mean, *, count: int, seed: int, listeners: int = 500) -> list[StoredDecision]:
    """Decisions of a world in which a list earns 1 with probability `mean(segment, tilt)`."""
    random, drawing = np.random.default_rng(seed), Drawing(policy)
    decisions = []
    for number in range(count):
        segment = SEGMENTS[random.integers(4)]
        draw = drawing.draw(segment, random.random())
        reward = float(random.random() < mean(segment, draw.tilt))
        user_id = f"u{random.integers(listeners)}"
        decisions.append(
            StoredDecision(
                f"r{number}", user_id, float(number), "", segment, draw.tilt, draw.propensity, policy.number, reward
            )
        )
    return decisions


def value(policy: TiltPolicy, mean: Mean) -> float:
    """What a policy earns a list in a world, exactly."""
    table = np.asarray([[mean(segment, name) for name in NAMES] for segment in SEGMENTS[:4]])
    return float((policy.probabilities[:4] * table).sum() / 4)


def test_what_pays_in_one_segment_is_found_there() -> None:
    start = TiltPolicy.start("", exploration=1.0)
    lists = logged(start, one_pays, count=12_000, seed=1)
    limits = StepLimits(exploration=0.1, max_step=0.2)
    proposal = propose(start, earlier=lists[:8_000], held_back=lists[8_000:], number=1, limits=limits)
    assert proposal is not None
    assert proposal.accepted, proposal.reason
    assert "is above 0" in proposal.reason
    chosen = proposal.policy.to_json()["few tracks"]
    assert chosen[GOOD] > start.to_json()["few tracks"][GOOD] + 0.15
    truth = value(proposal.policy, one_pays) - value(start, one_pays)
    assert proposal.judgement.difference.low <= truth <= proposal.judgement.difference.high
    assert truth > 0


def test_where_nothing_matters_most_proposals_are_dropped() -> None:
    start = TiltPolicy.start("", exploration=0.5)
    published = 0
    for seed in range(20):
        lists = logged(start, nothing_matters, count=2000, seed=seed)
        proposal = propose(start, earlier=lists[:1400], held_back=lists[1400:], number=1, limits=StepLimits())
        assert proposal is not None
        published += proposal.accepted
    assert published <= 3  # one in forty is expected


def test_intervals_of_the_difference_cover_the_truth() -> None:
    """Of 200 intervals of 95 %, some 190 do; with lists of few listeners too, whose rewards go together."""
    start = TiltPolicy.start("", exploration=0.5)
    probabilities = start.probabilities.copy()
    probabilities[:, [NAMES.index(AS_TRAINED), NAMES.index(GOOD)]] += [-0.3, 0.3]
    other = TiltPolicy("", 1, probabilities)
    truth = value(other, one_pays) - value(start, one_pays)
    covered = 0
    for seed in range(200):
        lists = Logged.of(logged(start, one_pays, count=400, seed=seed, listeners=60))
        difference = judge(lists, start, other).difference
        covered += difference.low <= truth <= difference.high
    assert 180 <= covered <= 198


def test_what_harms_is_gone_back_from() -> None:
    start = TiltPolicy.start("", exploration=0.1)
    probabilities = start.probabilities.copy()
    probabilities[:, [NAMES.index(AS_TRAINED), NAMES.index(GOOD)]] += [-0.5, 0.5]
    published = TiltPolicy("", 1, probabilities)
    lists = logged(published, one_harms, count=2000, seed=1)
    judgement = regret(published, start, lists=lists)
    assert judgement is not None
    assert judgement.difference.low > 0
    fine = regret(published, start, lists=logged(published, nothing_matters, count=2000, seed=2))
    assert fine is not None
    assert fine.difference.low <= 0


def test_too_few_listeners_judge_nothing() -> None:
    start = TiltPolicy.start("", exploration=0.5)
    lists = logged(start, one_pays, count=300, seed=1, listeners=10)
    assert propose(start, earlier=lists, held_back=lists, number=1, limits=StepLimits()) is None
    assert regret(start, start, lists=[]) is None
    with pytest.raises(ValueError, match="no settled decisions"):
        judge(Logged.of([]), start, start)


def test_lists_of_strangers_each_stand_for_themselves() -> None:
    start = TiltPolicy.start("", exploration=0.5)
    one = logged(start, one_pays, count=1, seed=1)[0]
    strangers = [StoredDecision(f"r{n}", "", 1.0, "", one.segment, one.tilt, one.propensity, 0, 1.0) for n in range(5)]
    assert sorted(Logged.of(strangers).listener) == [0, 1, 2, 3, 4]
    unknown = StoredDecision("r", "u", 1.0, "", "gone", one.tilt, 0.5, 0, 1.0)
    unsettled = StoredDecision("r", "u", 1.0, "", one.segment, one.tilt, 0.5, 0, None)
    assert len(Logged.of([unknown, unsettled])) == 0


def test_without_anything_earned_all_tilts_are_alike() -> None:
    posterior = Posterior.of(Logged.of([]))
    probabilities = best_probabilities(posterior, exploration=0.1, seed=0)
    assert probabilities == pytest.approx(np.full_like(probabilities, 1 / len(NAMES)), abs=0.03)


def test_what_is_known_of_a_tilt_elsewhere_is_expected_in_a_segment_without_lists() -> None:
    start = TiltPolicy.start("", exploration=1.0)
    lists = logged(start, lambda segment, tilt: 0.6 if tilt == GOOD else 0.3, count=80_000, seed=3)
    posterior = Posterior.of(Logged.of([one for one in lists if one.segment != SEGMENTS[3]]))
    best = best_probabilities(posterior, exploration=0.0, seed=0)
    assert best[0, NAMES.index(GOOD)] > 0.99
    assert 0.5 < best[3, NAMES.index(GOOD)] < best[0, NAMES.index(GOOD)]
    effect = posterior.mean[0] - posterior.mean[0, NAMES.index(AS_TRAINED)]
    assert effect[NAMES.index(GOOD)] == pytest.approx(0.3, abs=0.05)
