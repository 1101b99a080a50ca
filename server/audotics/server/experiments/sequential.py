"""Tests that may be looked at at any time: sums over listeners go in, intervals and p-values that stay valid come out.

A listener i has a numerator yᵢ and a denominator xᵢ, such as lists that engaged and lists. The value of an arm is
R = Σ yᵢ / Σ xᵢ with variance n/(n-1) Σ (yᵢ - R xᵢ)² / (Σ xᵢ)² (delta method: Deng, Knoblich and Lu 2018). The lift of
arm t over the control c is d = Rₜ/R_c - 1, with variance V = Var(Rₜ)/R_c² + Rₜ² Var(R_c)/R_c⁴.

The mixture sequential probability ratio test with a normal mixture of variance τ² (Robbins 1970; Johari, Koomen,
Pekelis and Walsh 2017, "Peeking at A/B tests"; the boundary of Howard, Ramdas, McAuliffe and Sekhon 2021, section 3.2)

    Λ = √(V/(V+τ²)) · exp(τ² d² / (2 V (V+τ²)))
    p = min(1, 1/Λ)
    d ± √( V (V+τ²)/τ² · (2 ln(1/α) + ln((V+τ²)/V)) )

is wrong at any time with probability α at most, however often it is looked at, as far as means of `LEAST_LISTENERS` are
normal. τ has to be fixed beforehand: the lift that one wants to find.

Whether arms have the listeners that they should have is tested by the multinomial mixture of Lindon and Malek (2022,
"Anytime-valid inference for multinomial count data"): with counts nᵢ, shares θᵢ and a Dirichlet(k·θ) mixture,

    Λ = Γ(k)/Γ(k+n) · Π Γ(k θᵢ+nᵢ)/Γ(k θᵢ) / Π θᵢ^nᵢ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

LEAST_LISTENERS: Final = 100
"""Fewer in an arm say nothing yet: sums of so few need not be normal."""

ALPHA: Final = 0.05
_CONCENTRATION: Final = 100.0
"""k of the multinomial test: alternatives are looked for within some 5 percentage points of the shares."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over n listeners of y, x, y², x² and xy."""

    n: int = 0
    y: float = 0.0
    x: float = 0.0
    yy: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    @classmethod
    def of(cls, y: NDArray[np.float64], x: NDArray[np.float64]) -> Self:
        """Numerators (n,) and denominators (n,) of listeners; those without a denominator do not count."""
        there = x > 0
        y, x = y[there], x[there]
        return cls(len(y), float(y.sum()), float(x.sum()), float(y @ y), float(x @ x), float(x @ y))

    @property
    def value(self) -> float | None:
        """Σ y / Σ x; None without listeners."""
        return self.y / self.x if self.n else None

    @property
    def variance(self) -> float:
        """Of the value. Infinite below two listeners."""
        if self.n < 2:
            return math.inf
        ratio = self.y / self.x
        squares = max(self.yy - 2 * ratio * self.xy + ratio**2 * self.xx, 0.0)
        return self.n / (self.n - 1) * squares / self.x**2


@dataclass(frozen=True, slots=True)
class Difference:
    """An estimate with its always-valid interval and p-value."""

    estimate: float
    low: float
    high: float
    p_value: float


def lift(treatment: Sums, control: Sums, *, tau: float, alpha: float = ALPHA) -> Difference | None:
    """The relative difference of two values; None while there are too few listeners, or the control's value is 0."""
    base, other = control.value, treatment.value
    if base is None or other is None or min(treatment.n, control.n) < LEAST_LISTENERS or base <= 0:
        return None
    variance = treatment.variance / base**2 + other**2 * control.variance / base**4
    return difference(other / base - 1, variance, tau=tau, alpha=alpha)


def difference(estimate: float, variance: float, *, tau: float, alpha: float = ALPHA) -> Difference | None:
    """The interval about an estimate of any kind; None where nothing varies, so that there is nothing to test."""
    if not variance > 0 or not math.isfinite(variance):
        return None
    total = variance + tau**2
    exponent = (tau * estimate) ** 2 / (2 * variance * total) + 0.5 * math.log(variance / total)
    half = math.sqrt(variance * total / tau**2 * (2 * math.log(1 / alpha) + math.log(total / variance)))
    return Difference(estimate, estimate - half, estimate + half, math.exp(min(0.0, -exponent)))


def sample_ratio_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """How likely the arms' counts of listeners are by their shares, which sum up to 1."""
    n = sum(counts)
    log_ratio = math.lgamma(_CONCENTRATION) - math.lgamma(_CONCENTRATION + n)
    for number, share in zip(counts, shares, strict=True):
        prior = _CONCENTRATION * share
        log_ratio += math.lgamma(prior + number) - math.lgamma(prior) - number * math.log(share)
    return math.exp(min(0.0, -log_ratio))
