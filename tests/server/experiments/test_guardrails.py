"""When an arm has to stop, and when it must not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audotics.server.experiments.experiment import Guardrails
from audotics.server.experiments.guardrails import Health, Moments, verdict

LIMITS = Guardrails()


def moments(values: np.ndarray) -> Moments:
    return Moments(len(values), float(values.sum()), float((values**2).sum()))


def health(requests: int, failed: int = 0, *, ms: float = 5.0, diversity: float = 0.6, seed: int = 0) -> Health:
    rng = np.random.default_rng(seed)
    times = math.log(ms / 1000) + rng.normal(0, 0.3, requests - failed)
    return Health(requests, failed, moments(times), moments(diversity + rng.normal(0, 0.1, requests)))


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        (health(500, 40, seed=1), "40 of 500 requests failed, and 0 of 2000 of the control: at least"),
        (health(500, ms=12.0, seed=1), "longer, where 50% is allowed"),
        (health(500, diversity=0.4, seed=1), "less, where 20% is allowed"),
    ],
)
def test_what_is_worse_for_certain_stops(arm: Health, words: str) -> None:
    assert words in verdict(arm, health(2000), LIMITS)


@pytest.mark.parametrize(
    "arm",
    [
        health(500, 5, seed=1),
        health(500, ms=6.5, seed=1),
        health(500, diversity=0.55, seed=1),
        health(500, ms=2.0, diversity=0.9, seed=1),
        health(99, 60, ms=100.0, diversity=0.1, seed=1),
        Health(),
    ],
)
def test_what_is_allowed_or_not_certain_goes_on(arm: Health) -> None:
    assert verdict(arm, health(2000), LIMITS) == ""


def test_equal_arms_are_hardly_ever_stopped_however_often_they_are_checked() -> None:
    rng = np.random.default_rng(4)
    strict = Guardrails(max_error_increase=0.001, max_latency_increase=0.01, max_diversity_drop=0.01)
    stopped = 0
    for _ in range(50):
        times = rng.normal(-5, 0.5, (2, 2000))
        failed = (rng.random((2, 2000)) < 0.02).cumsum(axis=1)
        stopped += any(
            verdict(*(Health(n, int(failed[k, n - 1]), moments(times[k, :n]), Moments()) for k in (0, 1)), strict)
            for n in range(100, 2001, 100)
        )
    assert stopped <= 2


def test_moments_are_those_of_their_values() -> None:
    values = Moments()
    for value in (1.0, 2.0, 6.0):
        values = values.plus(value)
    assert (values.mean, values.variance) == pytest.approx((3.0, np.var([1.0, 2.0, 6.0], ddof=1) / 3))
