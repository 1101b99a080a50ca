"""When an arm has to stop, and when it must not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audotics.server.experiments.experiment import Guardrails
from audotics.server.experiments.guardrails import Health, Moments, Requests, size_band, verdict

LIMITS = Guardrails()


def moments(values: np.ndarray) -> Moments:
    return Moments(len(values), float(values.sum()), float((values**2).sum()))


def health(requests: int, failed: int = 0, *, ms: float = 5.0, diversity: float = 0.6, seed: int = 0) -> Health:
    rng = np.random.default_rng(seed)
    return Health(
        {0: timed(requests, failed, ms=ms, rng=rng)}, {False: moments(diversity + rng.normal(0, 0.1, requests))}
    )


def timed(requests: int, failed: int = 0, *, ms: float, rng: np.random.Generator) -> Requests:
    return Requests(requests, failed, moments(math.log(ms / 1000) + rng.normal(0, 0.3, requests - failed)))


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
            verdict(*(Health({0: Requests(n, int(failed[k, n - 1]), moments(times[k, :n]))}) for k in (0, 1)), strict)
            for n in range(100, 2001, 100)
        )
    assert stopped <= 2


def test_an_arm_is_not_slow_for_being_asked_by_more_and_larger_groups() -> None:
    rng = np.random.default_rng(5)

    def mixed(counts: dict[int, int], *, slower: float = 1.0) -> Health:
        """`counts` of requests by band; one of the band 7 takes a hundred times as long as one of a listener."""
        times = {0: 5.0, 3: 25.0, 7: 500.0}
        return Health({band: timed(count, ms=slower * times[band], rng=rng) for band, count in counts.items()})

    control = mixed({0: 1900, 3: 50, 7: 50})
    assert verdict(mixed({0: 200, 3: 600, 7: 200}), control, LIMITS) == ""
    assert verdict(mixed({3: 900, 7: 19}), control, LIMITS) == ""  # too little that could be compared
    slow = verdict(mixed({0: 200, 3: 600, 7: 200}, slower=2.5), control, LIMITS)
    assert slow.startswith("requests take")
    assert "longer, where 50% is allowed" in slow


def test_failures_and_diversity_are_compared_within_their_kind() -> None:
    rng = np.random.default_rng(6)
    values = {0.6: moments(0.6 + rng.normal(0, 0.05, 400)), 0.2: moments(0.2 + rng.normal(0, 0.05, 400))}
    few = moments(0.2 + rng.normal(0, 0.05, 30))
    apart = Health({0: Requests(400), 3: Requests(400, 40)}, {False: values[0.6], True: values[0.2]})
    mostly_alone = Health({0: Requests(3000), 3: Requests(300, 30)}, {False: values[0.6], True: few})
    assert verdict(apart, mostly_alone, LIMITS) == ""
    of_groups = Health({0: Requests(400), 3: Requests(400, 160)}, {False: values[0.6], True: values[0.2]})
    assert verdict(of_groups, mostly_alone, LIMITS).startswith("160 of 800 requests failed, and 30 of 3300 of the")


def test_groups_of_about_the_same_size_are_alike() -> None:
    assert [size_band(members) for members in (0, 1, 2, 3, 4, 7, 8, 63, 64, 100)] == [0, 1, 2, 2, 3, 3, 4, 6, 7, 7]
    health = Health()
    for members, elapsed_s, failed in ((0, 0.5, False), (3, 1.0, False), (2, 9.0, True)):
        health = health.plus(members=members, elapsed_s=elapsed_s, failed=failed)
    assert (health.count, health.failed) == (3, 1)
    assert {band: each.log_times.total for band, each in health.requests.items()} == {0: math.log(0.5), 2: 0.0}


def test_moments_are_those_of_their_values() -> None:
    values = Moments()
    for value in (1.0, 2.0, 6.0):
        values = values.plus(value)
    assert (values.mean, values.variance) == pytest.approx((3.0, np.var([1.0, 2.0, 6.0], ddof=1) / 3))
