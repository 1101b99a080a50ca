"""Off-policy estimates: what a policy would have earned, from the logs of another one.

Each of m logged decisions has the probability of what was chosen under the policy that logged it (its propensity) and
under the policy in question, and the reward that followed. With w the ratio of the two, which may be clipped (a little
bias for much less variance), and q a model of the reward:

    IPS             mean of wᵢrᵢ                                       (Horvitz & Thompson 1952)
    SNIPS           Σ wᵢrᵢ / Σ wᵢ                                      (Swaminathan & Joachims 2015)
    doubly robust   mean of Σ_a π(a|xᵢ)q(xᵢ,a) + wᵢ(rᵢ - q(xᵢ,aᵢ))     (Dudík et al. 2011)

Each is a ratio of sums, Σ yᵢ / Σ xᵢ, so its 95 % interval is that of the linearised ratio: with R the estimate and
uᵢ = yᵢ - R xᵢ, the variance is n/(n-1) Σ uᵢ² / (Σ xᵢ)². Decisions of one listener depend on each other; where
`listeners` names them, the sums of each are taken first and n counts listeners (cluster-robust: Liang & Zeger 1986).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from audotics.features.interval import Interval

LEVEL = 0.95


def importance_weights(
    probabilities: NDArray[np.float64], propensities: NDArray[np.float64], *, clip: float = math.inf
) -> NDArray[np.float64]:
    """min(π / p, clip) of each decision, float64 (m,)."""
    return np.minimum(probabilities / propensities, clip)


def ips(
    weights: NDArray[np.float64], rewards: NDArray[np.float64], *, listeners: NDArray[np.int64] | None = None
) -> Interval:
    """The plain estimate: unbiased without a clip, and wide. `listeners` (m,) numbers who was decided for, from 0."""
    return ratio_interval(weights * rewards, np.ones(len(rewards)), listeners=listeners)


def snips(
    weights: NDArray[np.float64], rewards: NDArray[np.float64], *, listeners: NDArray[np.int64] | None = None
) -> Interval:
    """The self-normalised estimate; 0 where the policy would have chosen nothing of what was logged."""
    return ratio_interval(weights * rewards, weights, listeners=listeners)


def doubly_robust(
    weights: NDArray[np.float64],
    rewards: NDArray[np.float64],
    *,
    expected: NDArray[np.float64],
    predicted: NDArray[np.float64],
    listeners: NDArray[np.int64] | None = None,
) -> Interval:
    """`expected` (m,) is the model's reward averaged over the policy, `predicted` (m,) that of what was chosen.

    The model must not have been fitted to the decision that it predicts.
    """
    return ratio_interval(expected + weights * (rewards - predicted), np.ones(len(rewards)), listeners=listeners)


def effective_size(weights: NDArray[np.float64]) -> float:
    """(Σ w)² / Σ w²: as many equally weighted decisions would say as much (Kish 1965); 0 where all weights are."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def ratio_interval(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    *,
    listeners: NDArray[np.int64] | None = None,
    level: float = LEVEL,
) -> Interval:
    """Σ y / Σ x with its interval; 0 to 0 where Σ x is 0. Raises ValueError without decisions."""
    if not len(numerators):
        raise ValueError("there are no logged decisions to estimate from")
    y, x = (_of_each(values, listeners) for values in (numerators, denominators))
    total, n = float(x.sum()), len(y)
    if not total:
        return Interval(0.0, 0.0, 0.0)
    estimate = float(y.sum()) / total
    if n < 2:
        return Interval(estimate, -math.inf, math.inf)
    deviation = math.sqrt(n / (n - 1) * float(((y - estimate * x) ** 2).sum())) / abs(total)
    half = NormalDist().inv_cdf(0.5 + level / 2) * deviation
    return Interval(estimate, estimate - half, estimate + half)


def _of_each(values: NDArray[np.float64], listeners: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """The sum of each listener's values; the values themselves where nobody is named."""
    return values if listeners is None else np.bincount(listeners, weights=values).astype(np.float64)
