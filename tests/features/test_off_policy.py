"""Off-policy estimates on simulated logs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.off_policy import doubly_robust, effective_size, importance_weights, ips, snips

LOGGING = np.asarray([0.6, 0.3, 0.1])
TARGET = np.asarray([0.1, 0.3, 0.6])
CHANCES = np.asarray([0.1, 0.2, 0.5])
"""Of a reward, by what was shown."""


def logs(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shown = rng.choice(3, size, p=LOGGING)
    return shown, (rng.random(size) < CHANCES[shown]).astype(np.float64)


def test_all_estimates_find_what_the_other_policy_earns() -> None:
    shown, rewards = logs(20_000, 0)
    weights = importance_weights(TARGET[shown], LOGGING[shown], clip=100.0)
    model = np.asarray([0.3, 0.3, 0.3])  # a poor one
    expected = np.full(len(shown), TARGET @ model)
    truth = float(TARGET @ CHANCES)

    for estimate in (
        ips(weights, rewards),
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
    for seed in range(400):
        shown, rewards = logs(400, seed)
        estimate = snips(importance_weights(TARGET[shown], LOGGING[shown]), rewards)
        held.append(estimate.low <= TARGET @ CHANCES <= estimate.high)

    assert 0.92 < np.mean(held) < 0.98


def test_ratios_are_clipped() -> None:
    weights = importance_weights(np.asarray([0.9, 0.1]), np.asarray([0.01, 0.2]), clip=5.0)

    assert weights.tolist() == [5.0, 0.5]


def test_a_policy_that_shows_nothing_of_what_was_logged_earns_nothing_known() -> None:
    assert snips(np.zeros(10), np.ones(10)).estimate == 0.0


def test_estimates_need_decisions() -> None:
    with pytest.raises(ValueError, match="no logged decisions"):
        snips(np.zeros(0), np.zeros(0))


def test_decisions_of_one_listener_count_as_one() -> None:
    """Each listener has ten equal decisions: as many listeners say as much as they would with one decision each."""
    shown, rewards = logs(500, 2)
    weights = importance_weights(TARGET[shown], LOGGING[shown])
    once = snips(weights, rewards)
    listeners = np.repeat(np.arange(500), 10)
    clustered = snips(np.repeat(weights, 10), np.repeat(rewards, 10), listeners=listeners)
    naive = snips(np.repeat(weights, 10), np.repeat(rewards, 10))

    assert clustered.estimate == pytest.approx(once.estimate)
    assert (clustered.low, clustered.high) == pytest.approx((once.low, once.high))
    assert naive.high - naive.low < 0.5 * (once.high - once.low)


def test_equal_weights_count_in_full_and_one_large_weight_as_one() -> None:
    assert effective_size(np.ones(50)) == 50.0
    assert effective_size(np.asarray([1000.0, *[1e-9] * 49])) == pytest.approx(1.0)
    assert effective_size(np.zeros(3)) == 0.0
