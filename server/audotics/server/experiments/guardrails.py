"""Guardrails: how the requests of an arm and of the control went goes in, why the arm must stop comes out, if it must.

An arm stops as soon as the always-valid interval of `sequential.difference`, at a level of 1 %, lies beyond what is
allowed: it is then worse by so much for certain, and no bad luck of a few requests stops it.

Like is compared with like. A list for a group takes longer than one for a listener, the more members the longer, has
more that can fail, and is otherwise varied; an arm is not worse for being asked by more or larger groups. So requests
count by their kind, and the difference of two arms is the mean of their differences within each kind s, weighted as in
a stratified comparison (Cochran 1954) by what both arms know of it:

    Σ wₛ (arm's mean - control's mean),   wₛ ∝ n n' / (n + n') with n and n' requests of that kind
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from audotics.server.experiments.experiment import Guardrails
from audotics.server.experiments.sequential import Difference, difference

KindT = TypeVar("KindT")

LEAST_REQUESTS: Final = 100
LEAST_OF_KIND: Final = 20
"""Requests of one kind that both arms need for it to count: of fewer the variance is not known well enough."""
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
class Requests:
    """Requests of one kind and how many of them failed, and logarithms of the times in seconds of the others."""

    count: int = 0
    failed: int = 0
    log_times: Moments = Moments()

    def plus(self, *, elapsed_s: float, failed: bool) -> Requests:
        log_times = self.log_times if failed else self.log_times.plus(math.log(max(elapsed_s, 1e-6)))
        return Requests(self.count + 1, self.failed + failed, log_times)


@dataclass(frozen=True, slots=True)
class Health:
    """How an arm's requests went, by `size_band`, and how varied its lists are: of groups (True) and of listeners."""

    requests: Mapping[int, Requests] = field(default_factory=dict)
    diversity: Mapping[bool, Moments] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(each.count for each in self.requests.values())

    @property
    def failed(self) -> int:
        return sum(each.failed for each in self.requests.values())

    def plus(self, *, members: int, elapsed_s: float, failed: bool) -> Health:
        """With one request more, of a group of `members`, 0 for a listener."""
        band = size_band(members)
        known = self.requests.get(band, Requests()).plus(elapsed_s=elapsed_s, failed=failed)
        return Health({**self.requests, band: known}, self.diversity)


def size_band(members: int) -> int:
    """Which requests are alike: 0 for listeners (no `members`), for groups 1, 2 (2-3), 3 (4-7), 4 (8-15) and so on."""
    return members.bit_length()


@dataclass(frozen=True, slots=True)
class _Mean:
    """A mean of `n` values, and its variance."""

    n: int
    value: float
    variance: float

    @classmethod
    def of(cls, moments: Moments) -> _Mean:
        return cls(moments.n, moments.mean, moments.variance)

    @classmethod
    def of_failures(cls, requests: Requests) -> _Mean:
        """With one failure and one success more: without a failure nothing would vary (Agresti and Coull 1998)."""
        share = (requests.failed + 1) / (requests.count + 2)
        return cls(requests.count, share, share * (1 - share) / max(requests.count, 1))


@dataclass(frozen=True, slots=True)
class _Compared:
    """Means of an arm and of the control over requests of the same kinds, and the variance of their difference."""

    arm: float
    control: float
    variance: float

    def difference(self, *, tau: float) -> Difference | None:
        return difference(self.arm - self.control, self.variance, tau=tau, alpha=ALPHA) if tau > 0 else None


def verdict(arm: Health, control: Health, guardrails: Guardrails) -> str:
    """Why the arm must stop; empty while it may go on."""
    return (
        _errors(arm, control, guardrails.max_error_increase)
        or _latency(arm, control, guardrails.max_latency_increase)
        or _diversity(arm, control, guardrails.max_diversity_drop)
    )


def _errors(arm: Health, control: Health, limit: float) -> str:
    shares = ({kind: _Mean.of_failures(each) for kind, each in health.requests.items()} for health in (arm, control))
    compared = _compare(*shares)
    found = None if compared is None else compared.difference(tau=limit)
    if found is None or found.low <= limit:
        return ""
    return (
        f"{arm.failed} of {arm.count} requests failed, and {control.failed} of {control.count} of the control: "
        f"at least {found.low:.1%} more, where {limit:.1%} is allowed"
    )


def _latency(arm: Health, control: Health, limit: float) -> str:
    times = ({kind: _Mean.of(each.log_times) for kind, each in health.requests.items()} for health in (arm, control))
    compared, allowed = _compare(*times), math.log1p(limit)
    found = None if compared is None else compared.difference(tau=allowed)
    if compared is None or found is None or found.low <= allowed:
        return ""
    own_ms, other_ms = (1000 * math.exp(mean) for mean in (compared.arm, compared.control))
    return (
        f"requests take {own_ms:.1f} ms, and {other_ms:.1f} ms of the control (geometric means): at least "
        f"{math.expm1(found.low):.0%} longer, where {limit:.0%} is allowed"
    )


def _diversity(arm: Health, control: Health, limit: float) -> str:
    values = ({kind: _Mean.of(each) for kind, each in health.diversity.items()} for health in (arm, control))
    compared = _compare(*values)
    found = None if compared is None else compared.difference(tau=limit * compared.control)
    if compared is None or found is None or found.high >= -limit * compared.control:
        return ""
    return (
        f"the diversity of lists is {compared.arm:.3f}, and {compared.control:.3f} of the control: at least "
        f"{-found.high / compared.control:.0%} less, where {limit:.0%} is allowed"
    )


def _compare(arm: Mapping[KindT, _Mean], control: Mapping[KindT, _Mean]) -> _Compared | None:
    """Over the kinds of which both know enough; None where these are too few requests together."""
    pairs = [(arm[kind], control[kind]) for kind in arm.keys() & control.keys()]
    pairs = [(own, other) for own, other in pairs if min(own.n, other.n) >= LEAST_OF_KIND]
    if min(sum(own.n for own, _ in pairs), sum(other.n for _, other in pairs)) < LEAST_REQUESTS:
        return None
    known = [own.n * other.n / (own.n + other.n) for own, other in pairs]
    weighted = [(each / sum(known), own, other) for each, (own, other) in zip(known, pairs, strict=True)]
    return _Compared(
        sum(weight * own.value for weight, own, _ in weighted),
        sum(weight * other.value for weight, _, other in weighted),
        sum(weight**2 * (own.variance + other.variance) for weight, own, other in weighted),
    )
