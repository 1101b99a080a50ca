"""Always-valid tests: against simulation, against each other, and at their edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audotics.server.experiments.sequential import LEAST_LISTENERS, Sums, difference, lift, sample_ratio_p_value


def sums(rng: np.random.Generator, n: int, rate: float) -> Sums:
    lists = rng.integers(1, 6, n).astype(np.float64)
    return Sums.of(rng.binomial(lists.astype(int), rate).astype(np.float64), lists)


def test_a_ratio_and_its_variance_are_those_of_the_delta_method() -> None:
    rng = np.random.default_rng(0)
    values = [sums(rng, 400, 0.3) for _ in range(2000)]
    found = np.asarray([each.value for each in values])
    assert found.mean() == pytest.approx(0.3, abs=0.002)
    assert np.mean([each.variance for each in values]) == pytest.approx(found.var(), rel=0.1)


def test_listeners_without_a_denominator_do_not_count() -> None:
    assert Sums.of(np.asarray([1.0, 0.0, 2.0]), np.asarray([2.0, 0.0, 2.0])) == Sums.of(
        np.asarray([1.0, 2.0]), np.asarray([2.0, 2.0])
    )
    assert Sums.of(np.zeros(0), np.zeros(0)).value is None
    assert Sums().variance == math.inf


def test_looking_every_day_is_wrong_less_often_than_it_says() -> None:
    """A/A over 60 looks: the share of runs in which the interval ever misses 0, and the p-value ever rejects."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(300):
        y = rng.binomial(1, 0.2, (2, 6000)).astype(np.float64)
        ever = False
        for n in range(200, 6001, 100):
            found = lift(Sums.of(y[0, :n], np.ones(n)), Sums.of(y[1, :n], np.ones(n)), tau=0.05, alpha=0.05)
            assert found is not None
            assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)
            ever |= found.p_value < 0.05
        wrong += ever
    assert wrong <= 300 * 0.05


def test_a_true_lift_is_found_and_held() -> None:
    rng = np.random.default_rng(2)
    found = lift(sums(rng, 20_000, 0.36), sums(rng, 20_000, 0.3), tau=0.1)
    assert found is not None
    assert 0 < found.low < 0.2 < found.high
    assert found.p_value < 1e-6


@pytest.mark.parametrize(
    ("treatment", "control"),
    [
        (Sums(LEAST_LISTENERS - 1, 50, 100, 50, 100, 50), Sums(500, 250, 500, 250, 500, 250)),
        (Sums(500, 250, 500, 250, 500, 250), Sums(500, 0, 500, 0, 500, 0)),
        (Sums(500, 500, 500, 500, 500, 500), Sums(500, 500, 500, 500, 500, 500)),
        (Sums(), Sums()),
    ],
)
def test_what_cannot_be_compared_is_not(treatment: Sums, control: Sums) -> None:
    assert lift(treatment, control, tau=0.05) is None


def test_an_interval_of_any_level_contains_the_estimate_and_narrows() -> None:
    wide, narrow = difference(0.1, 0.01, tau=0.1), difference(0.1, 0.0001, tau=0.1)
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low < 0.1 < narrow.high < wide.high
    assert difference(0.1, math.inf, tau=0.1) is None


def test_a_missing_part_of_an_arm_raises_the_alarm_and_chance_does_not() -> None:
    assert sample_ratio_p_value([5000, 5000], [0.5, 0.5]) == 1.0
    assert sample_ratio_p_value([5000, 4700], [0.5, 0.5]) > 0.001
    assert sample_ratio_p_value([5000, 4500], [0.5, 0.5]) < 0.001
    assert sample_ratio_p_value([0, 0, 0], [0.2, 0.3, 0.5]) == 1.0
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(200):
        counts = np.cumsum(rng.multinomial(50, [0.2, 0.8], 100), axis=0)
        alarms += any(sample_ratio_p_value(row.tolist(), [0.2, 0.8]) < 0.05 for row in counts)
    assert alarms <= 200 * 0.05
