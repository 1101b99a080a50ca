"""Metrics of lists, and policies on logs whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audotics.server.experiments.metrics import METRICS, ListOutcomes, list_diversity
from audotics.server.experiments.policies import Rule, evaluate, probabilities

NUMBERS = (
    *("propensity", "entered_at", "created_at", "engaged", "started", "completed", "skipped"),
    *("added", "group_events", "diversity", "opinion", "opinions"),
)


def outcomes(n: int, **columns: Any) -> ListOutcomes:
    values: dict[str, Any] = {name: np.zeros(n) for name in NUMBERS}
    values |= {"listener": np.arange(n), "arm": np.zeros(n, np.int64), "history_length": np.zeros(n, np.int64)}
    values |= {"mood": np.full(n, "", object)} | {name: np.asarray(column) for name, column in columns.items()}
    return ListOutcomes(arms=("a", "b"), **values)


def test_each_metric_is_its_ratio() -> None:
    lists = outcomes(
        3,
        listener=[7, 7, 3],
        engaged=[1.0, 0.0, 1.0],
        started=[4.0, 0.0, 2.0],
        completed=[2.0, 0.0, 1.0],
        skipped=[1.0, 0.0, 0.0],
        added=[1.0, 0.0, 0.0],
        diversity=[0.5, 0.25, 1.0],
        opinion=[1.8, 0.0, 0.0],
        opinions=[2.0, 0.0, 1.0],
    )
    values = {}
    for metric in METRICS:
        numerators, denominators = lists.of_listeners(metric)
        assert len(numerators) == len(denominators) == 2
        values[metric] = numerators.sum() / denominators.sum()
    assert values == pytest.approx(
        {
            "engagement": 2 / 3,
            "completion": 3 / 6,
            "skip_rate": 1 / 6,
            "playlist_creation": 1 / 3,
            "group_activity": 0.0,
            "diversity": 1.75 / 3,
            "satisfaction": 0.6,
        }
    )


def test_only_windows_that_are_over_count_and_only_lists_within_them() -> None:
    lists = outcomes(4, entered_at=[0.0, 0.0, 50.0, 95.0], created_at=[0.0, 20.0, 50.0, 95.0])
    assert lists.observed(now=100.0, window_s=10.0).created_at.tolist() == [0.0, 50.0]


def test_the_diversity_of_a_list_is_one_less_the_mean_cosine() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = (vectors @ vectors.T)[np.triu_indices(5, 1)]
    artists = np.asarray([0, 0, 1, -1, -1], np.int32)
    assert list_diversity(vectors, artists) == pytest.approx(1 - cosines.mean(), abs=1e-5)
    assert list_diversity(None, artists) == pytest.approx(0.9)
    assert list_diversity(None, artists[:1]) == 0.0


def test_the_first_rule_that_fits_decides() -> None:
    lists = outcomes(3, history_length=np.asarray([2, 30, 30]), mood=np.asarray(["", "chill", ""], object))
    rules = [Rule({"b": 1.0}, max_history=10), Rule({"a": 0.25, "b": 0.75}, moods=("chill",)), Rule({"a": 1.0})]
    assert probabilities(rules, lists).tolist() == [[0.0, 1.0], [0.25, 0.75], [1.0, 0.0]]


def test_estimates_find_the_value_of_a_policy_that_nobody_was_served_by() -> None:
    """Arm b is better for those with a short history, arm a for the others; each listener has three lists."""
    rng = np.random.default_rng(2)
    m = 6000
    history = np.repeat(rng.choice([5, 100], m), 3)
    arm = np.repeat((rng.random(m) < 0.3).astype(np.int64), 3)
    chance = np.where(history < 10, np.where(arm == 1, 0.6, 0.2), np.where(arm == 1, 0.3, 0.5))
    engaged = (rng.random(3 * m) < chance).astype(np.float64)
    lists = outcomes(
        3 * m,
        listener=np.repeat(np.arange(m), 3),
        arm=arm,
        propensity=np.where(arm == 1, 0.3, 0.7),
        history_length=history,
        engaged=engaged,
    )
    rules = [Rule({"b": 1.0}, max_history=10), Rule({"a": 1.0})]
    found = evaluate(rules, lists, lists.numerator("engagement"))
    truth = 0.5 * 0.6 + 0.5 * 0.5
    for estimate in (found.ips, found.snips, found.doubly_robust):
        assert estimate.low < truth < estimate.high
        assert estimate.high - estimate.low < 0.06
    assert found.doubly_robust.high - found.doubly_robust.low < found.ips.high - found.ips.low
    assert (found.lists, found.listeners) == (3 * m, m)
    assert found.logged == pytest.approx(engaged.mean())
    assert 0 < found.effective_lists < 3 * m


def test_nothing_logged_is_an_error() -> None:
    with pytest.raises(ValueError, match="no logged decisions"):
        evaluate([Rule({"a": 1.0})], outcomes(0), np.zeros(0))
