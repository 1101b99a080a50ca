"""Off-policy estimates: what a policy would have earned, from the logs of another one.

Each of m logged decisions has the probability of what was shown under the policy that logged it (its propensity) and
under the policy in question, and the reward that followed. The ratio of the two is clipped, which trades a little bias
for much variance.

    SNIPS           Σ wᵢrᵢ / Σ wᵢ                                      (Swaminathan & Joachims 2015)
    doubly robust   mean of Σ_a π(a|xᵢ)q(xᵢ,a) + wᵢ(rᵢ - q(xᵢ,aᵢ))     (Dudík et al. 2011)

with w the clipped ratio and q a model of the reward. Intervals are percentiles of a seeded bootstrap over decisions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.significance import Interval

RESAMPLES = 1_000
LEVEL = 0.95


def importance_weights(
    probabilities: NDArray[np.float64], propensities: NDArray[np.float64], *, clip: float
) -> NDArray[np.float64]:
    """min(π / p, clip) of each decision, float64 (m,)."""
    return np.minimum(probabilities / propensities, clip)


def snips(weights: NDArray[np.float64], rewards: NDArray[np.float64], *, seed: int = 0) -> Interval:
    """The self-normalised estimate; 0 where the policy would have shown nothing of what was logged."""

    def value(drawn: NDArray[np.int64]) -> float:
        return float((weights[drawn] * rewards[drawn]).sum() / max(weights[drawn].sum(), 1e-12))

    return _with_interval(value, len(rewards), seed)


def doubly_robust(
    weights: NDArray[np.float64],
    rewards: NDArray[np.float64],
    *,
    expected: NDArray[np.float64],
    predicted: NDArray[np.float64],
    seed: int = 0,
) -> Interval:
    """`expected` (m,) is the model's reward averaged over the policy, `predicted` (m,) that of what was shown."""
    parts = expected + weights * (rewards - predicted)
    return _with_interval(lambda drawn: float(parts[drawn].mean()), len(rewards), seed)


def _with_interval(value: Callable[[NDArray[np.int64]], float], size: int, seed: int) -> Interval:
    """`value` takes indices (size,) of decisions. Raises ValueError without decisions."""
    if not size:
        raise ValueError("there are no logged decisions to estimate from")
    rng = np.random.default_rng(seed)
    resampled = [value(rng.integers(0, size, size)) for _ in range(RESAMPLES)]
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value(np.arange(size)), float(low), float(high))
