"""Thompson sampling in closed form, nearly: what tilts would have earned goes in, how probably each is best comes out.

How much more a tilt earns than what was shown is taken for normal (`judgement.Logged.gain`). Effects are drawn towards
what the tilt does in all segments, and that towards none (a hierarchical normal model, Gelman et al. 2013, chapter 5;
the variances of the two priors are set and not fitted):

    effect of tilt a         gₐ ~ N(0, τ²)                   τ = PRIOR_SPREAD · spread of the rewards
    effect in segment s      eₛₐ ~ N(gₐ, τ²)
    mean gain there          ḡₛₐ ~ N(eₛₐ, σₛₐ² / nₛ)

Few gains say little of their own spread σₛₐ, so that of the rewards counts as PRIOR_LISTS more of them.

Thompson sampling shows a tilt with the probability that it is the best one (Thompson 1933). It is estimated once a
proposal by drawing from the posterior, and then fixed: so the propensity of what is shown is known, and a request
costs one draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from audotics.server.learning.judgement import Logged
from audotics.server.learning.segments import SEGMENTS

PRIOR_SPREAD: Final = 0.1
"""Effects of a tilt are expected to be about so large, in standard deviations of a list's reward."""

PRIOR_LISTS: Final = 10.0

PROMISING: Final = 2.0

_DRAWS: Final = 4000
_LEAST_VARIANCE: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Means and variances of effects, float64 (segments, tilts)."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]

    @classmethod
    def of(cls, logged: Logged) -> Self:
        count = np.bincount(logged.segment, minlength=len(SEGMENTS)).astype(np.float64)[:, None]
        total, squares = (_by_segment(values, logged.segment) for values in (logged.gain, logged.gain**2))
        overall = max(float(logged.reward.var()) if len(logged) else 0.0, _LEAST_VARIANCE)
        prior = PRIOR_SPREAD**2 * overall
        effect = total / np.maximum(count, 1.0)
        spread = (squares - count * effect**2 + PRIOR_LISTS * overall) / (count + PRIOR_LISTS)
        precision = count / np.maximum(spread, _LEAST_VARIANCE)
        # Of the tilt everywhere, from segments that each know it as well as their counts and the prior allow.
        weight = precision / (1.0 + precision * prior)
        pooled_variance = 1.0 / (1.0 / prior + weight.sum(axis=0, keepdims=True))
        pooled = pooled_variance * (weight * effect).sum(axis=0, keepdims=True)
        # Given that, of the tilt in each segment; where nothing was seen, what holds everywhere.
        own_variance = 1.0 / (1.0 / prior + precision)
        mean = own_variance * (pooled / prior + precision * effect)
        variance = own_variance + (own_variance / prior) ** 2 * pooled_variance
        return cls(mean, variance)


def _by_segment(values: NDArray[np.float64], segment: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.zeros((len(SEGMENTS), values.shape[1]))
    np.add.at(sums, segment, values)
    return sums


def promising(posterior: Posterior, change: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Segments (segments,) in which a `change` of probabilities should gain more than PROMISING standard errors."""
    gain = (change * posterior.mean).sum(axis=1)
    error = np.sqrt((change**2 * posterior.variance).sum(axis=1))
    return np.asarray(gain > PROMISING * error)


def best_probabilities(posterior: Posterior, *, exploration: float, seed: int) -> NDArray[np.float64]:
    """How probably each tilt is the best of its segment, float64 (segments, tilts); rows sum up to 1.

    A share `exploration` is spread over all tilts, so that none is ever given up.
    """
    random = np.random.default_rng(seed)
    n_segments, n_tilts = posterior.mean.shape
    best = np.zeros((n_segments, n_tilts))
    for place in range(n_segments):
        drawn = random.normal(posterior.mean[place], np.sqrt(posterior.variance[place]), (_DRAWS, n_tilts))
        best[place] = np.bincount(drawn.argmax(axis=1), minlength=n_tilts) / _DRAWS
    mixed: NDArray[np.float64] = (1.0 - exploration) * best + exploration / n_tilts
    return mixed
