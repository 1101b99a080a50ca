"""Thompson sampling in closed form, nearly: what tilts have earned goes in, how probably each is the best comes out.

A reward is taken for normal around (level of the segment) + (effect of the tilt there). Effects are drawn towards what
the tilt does in all segments, and that towards none (a hierarchical normal model, Gelman et al. 2013, chapter 5; the
variances of the two priors are set and not fitted):

    effect of tilt a         gₐ ~ N(0, τ²)                   τ = PRIOR_SPREAD · spread of the rewards
    effect in segment s      eₛₐ ~ N(gₐ, τ²)
    mean reward there        ȳₛₐ - ȳₛ ~ N(eₛₐ, σₛ² / nₛₐ)

Thompson sampling shows a tilt with the probability that it is the best one (Thompson 1933). It is estimated once a
proposal by drawing from the posterior, and then fixed: so the propensity of what is shown is known, and a request
costs one draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from audotics.features.tilts import TILTS
from audotics.server.learning.segments import SEGMENTS
from audotics.server.storage.decisions import Tally

PRIOR_SPREAD: Final = 0.1
"""Effects of a tilt are expected to be about so large, in standard deviations of a list's reward."""

PROMISING: Final = 2.0

_DRAWS: Final = 4000
_LEAST_VARIANCE: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Earned:
    """What tilts earned, float64 (segments, tilts) each: how often they were shown, sums of rewards and of squares."""

    count: NDArray[np.float64]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, tallies: Sequence[Tally]) -> Self:
        """Tallies of segments and tilts that this version does not know are left out."""
        tables = np.zeros((3, len(SEGMENTS), len(TILTS)))
        rows = {name: place for place, name in enumerate(SEGMENTS)}
        columns = {name: place for place, name in enumerate(TILTS)}
        for tally in tallies:
            if tally.segment in rows and tally.tilt in columns:
                cell = (slice(None), rows[tally.segment], columns[tally.tilt])
                tables[cell] += (tally.count, tally.total, tally.squares)
        return cls(*tables)


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Means and variances of effects, float64 (segments, tilts), and the level of each segment (segments, 1)."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    level: NDArray[np.float64]

    @classmethod
    def of(cls, earned: Earned) -> Self:
        shown = earned.count.sum(axis=1, keepdims=True)
        everywhere = earned.total.sum() / max(earned.count.sum(), 1.0)
        level = np.where(shown > 0, earned.total.sum(axis=1, keepdims=True) / np.maximum(shown, 1.0), everywhere)
        spread = earned.squares.sum(axis=1, keepdims=True) / np.maximum(shown, 1.0) - level**2
        overall = earned.squares.sum() / max(earned.count.sum(), 1.0) - everywhere**2
        noise = np.maximum(np.where(shown > 1, spread, overall), _LEAST_VARIANCE)
        prior = max(PRIOR_SPREAD**2 * overall, _LEAST_VARIANCE)
        precision = earned.count / noise
        effect = np.where(earned.count > 0, earned.total / np.maximum(earned.count, 1.0) - level, 0.0)
        # Of the tilt everywhere, from segments that each know it as well as their counts and the prior allow.
        weight = precision / (1.0 + precision * prior)
        pooled_variance = 1.0 / (1.0 / prior + weight.sum(axis=0, keepdims=True))
        pooled = pooled_variance * (weight * effect).sum(axis=0, keepdims=True)
        # Given that, of the tilt in each segment; where nothing was seen, what holds everywhere.
        own_variance = 1.0 / (1.0 / prior + precision)
        mean = own_variance * (pooled / prior + precision * effect)
        variance = own_variance + (own_variance / prior) ** 2 * pooled_variance
        return cls(mean, variance, level)

    def expected(self) -> NDArray[np.float64]:
        """The reward of each tilt in each segment, float64 (segments, tilts)."""
        expected: NDArray[np.float64] = self.level + self.mean
        return expected


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
