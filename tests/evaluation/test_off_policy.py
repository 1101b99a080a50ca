"""Off-policy estimates on simulated logs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.evaluation.off_policy import doubly_robust, importance_weights, snips

LOGGING = np.asarray([0.6, 0.3, 0.1])
TARGET = np.asarray([0.1, 0.3, 0.6])
CHANCES = np.asarray([0.1, 0.2, 0.5])
"""Of a reward, by what was shown."""


def logs(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shown = rng.choice(3, size, p=LOGGING)
    return shown, (rng.random(size) < CHANCES[shown]).astype(np.float64)


def test_both_estimates_find_what_the_other_policy_earns() -> None:
    shown, rewards = logs(20_000, 0)
    weights = importance_weights(TARGET[shown], LOGGING[shown], clip=100.0)
    model = np.asarray([0.3, 0.3, 0.3])  # a poor one
    expected = np.full(len(shown), TARGET @ model)
    truth = float(TARGET @ CHANCES)

    for estimate in (
        snips(weights, rewards),
        doubly_robust(weights, rewards, expected=expected, predicted=model[shown]),
    ):
        assert estimate.low < truth < estimate.high
        assert estimate.estimate == pytest.approx(truth, abs=0.03)
    assert rewards.mean() < truth - 0.1


def test_a_good_model_of_the_reward_narrows_the_interval() -> None:
    shown, rewards = logs(2_000, 1)
    weights = importance_weights(TARGET[shown], LOGGING[shown], clip=100.0)
    good = doubly_robust(weights, rewards, expected=np.full(2_000, TARGET @ CHANCES), predicted=CHANCES[shown])
    none = doubly_robust(weights, rewards, expected=np.zeros(2_000), predicted=np.zeros(2_000))

    assert good.high - good.low < 0.95 * (none.high - none.low)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(40):
        shown, rewards = logs(400, seed)
        estimate = snips(importance_weights(TARGET[shown], LOGGING[shown], clip=100.0), rewards, seed=seed)
        held.append(estimate.low <= TARGET @ CHANCES <= estimate.high)

    assert np.mean(held) > 0.8


def test_ratios_are_clipped() -> None:
    weights = importance_weights(np.asarray([0.9, 0.1]), np.asarray([0.01, 0.2]), clip=5.0)

    assert weights.tolist() == [5.0, 0.5]


def test_a_policy_that_shows_nothing_of_what_was_logged_earns_nothing_known() -> None:
    assert snips(np.zeros(10), np.ones(10)).estimate == 0.0


def test_estimates_need_decisions() -> None:
    with pytest.raises(ValueError, match="no logged decisions"):
        snips(np.zeros(0), np.zeros(0))
