"""Guardrails: how the requests of an arm and of the control went goes in, why the arm must stop comes out, if it must.

An arm stops as soon as the always-valid interval of `sequential.difference`, at a level of 1 %, lies beyond what is
allowed: it is then worse by so much for certain, and no bad luck of a few requests stops it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from audotics.server.experiments.experiment import Guardrails
from audotics.server.experiments.sequential import Difference, difference

LEAST_REQUESTS: Final = 100
ALPHA: Final = 0.01


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over n values and over their squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, value: float) -> Moments:
        return Moments(self.n + 1, self.total + value, self.squares + value * value)

    @property
    def mean(self) -> float:
        return self.total / max(self.n, 1)

    @property
    def variance(self) -> float:
        """Of the mean; infinite below two values."""
        if self.n < 2:
            return math.inf
        return max(self.squares - self.n * self.mean**2, 0.0) / (self.n * (self.n - 1))


@dataclass(frozen=True, slots=True)
class Health:
    """Requests and how many failed, logarithms of the times in seconds of the others, and diversities of lists."""

    requests: int = 0
    failed: int = 0
    log_times: Moments = Moments()
    diversity: Moments = Moments()


def verdict(arm: Health, control: Health, guardrails: Guardrails) -> str:
    """Why the arm must stop; empty while it may go on."""
    return (
        _errors(arm, control, guardrails.max_error_increase)
        or _latency(arm, control, guardrails.max_latency_increase)
        or _diversity(arm, control, guardrails.max_diversity_drop)
    )


def _errors(arm: Health, control: Health, limit: float) -> str:
    if min(arm.requests, control.requests) < LEAST_REQUESTS:
        return ""
    # One failure and one success more: without a failure nothing would vary (Agresti and Coull 1998).
    shares = [(each.failed + 1) / (each.requests + 2) for each in (arm, control)]
    variance = sum(p * (1 - p) / each.requests for p, each in zip(shares, (arm, control), strict=True))
    found = difference(shares[0] - shares[1], variance, tau=limit, alpha=ALPHA)
    if found is None or found.low <= limit:
        return ""
    return (
        f"{arm.failed} of {arm.requests} requests failed, and {control.failed} of {control.requests} of the control: "
        f"at least {found.low:.1%} more, where {limit:.1%} is allowed"
    )


def _latency(arm: Health, control: Health, limit: float) -> str:
    found = _compare(arm.log_times, control.log_times, tau=math.log1p(limit))
    if found is None or found.low <= math.log1p(limit):
        return ""
    times = [1000 * math.exp(each.log_times.mean) for each in (arm, control)]
    return (
        f"requests take {times[0]:.1f} ms, and {times[1]:.1f} ms of the control (geometric means): at least "
        f"{math.expm1(found.low):.0%} longer, where {limit:.0%} is allowed"
    )


def _diversity(arm: Health, control: Health, limit: float) -> str:
    base = control.diversity.mean
    found = _compare(arm.diversity, control.diversity, tau=limit * base) if base > 0 and limit > 0 else None
    if found is None or found.high >= -limit * base:
        return ""
    return (
        f"the diversity of lists is {arm.diversity.mean:.3f}, and {base:.3f} of the control: at least "
        f"{-found.high / base:.0%} less, where {limit:.0%} is allowed"
    )


def _compare(arm: Moments, control: Moments, *, tau: float) -> Difference | None:
    if min(arm.n, control.n) < LEAST_REQUESTS or tau <= 0:
        return None
    return difference(arm.mean - control.mean, arm.variance + control.variance, tau=tau, alpha=ALPHA)
