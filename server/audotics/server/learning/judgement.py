"""What another policy would have earned: settled decisions and two policies go in, estimates with intervals come out.

    SNIPS         Σ wᵢrᵢ / Σ wᵢ  with wᵢ = π(aᵢ|sᵢ) / pᵢ                       (Swaminathan & Joachims 2015)
    difference    mean of Σₐ δ(a|sᵢ)q(sᵢ,a) + δ(aᵢ|sᵢ)/pᵢ · (rᵢ - q(sᵢ,aᵢ))    (doubly robust, Dudík et al. 2011)

with p the logged propensity, q the expected reward learned from other decisions, and δ the new policy's probability
less the old one's. The difference is estimated in one go, so that what both policies share costs no width. Lists of one
listener are no independent trials: intervals come from the variance between listeners (Liang & Zeger 1986).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.tilts import TILTS
from audotics.server.learning.policy import TiltPolicy
from audotics.server.learning.segments import SEGMENTS
from audotics.server.storage.decisions import StoredDecision

Z: Final = 1.959964
"""Half the width of a 95 % interval, in standard errors."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """Mean reward a list under the policy `before` and `after`, and how much more the latter earns."""

    decisions: int
    listeners: int
    before: Estimate
    after: Estimate
    difference: Estimate

    def to_json(self) -> dict[str, Any]:
        estimates = {name: getattr(self, name) for name in ("before", "after", "difference")}
        return {
            "decisions": self.decisions,
            "listeners": self.listeners,
            **{name: [estimate.value, estimate.low, estimate.high] for name, estimate in estimates.items()},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """m settled decisions as arrays (m,): places of segment and tilt, propensities, rewards, numbers of listeners."""

    segment: NDArray[np.int64]
    tilt: NDArray[np.int64]
    propensity: NDArray[np.float64]
    reward: NDArray[np.float64]
    listener: NDArray[np.int64]

    @classmethod
    def of(cls, decisions: Sequence[StoredDecision]) -> Logged:
        """Without those of segments and tilts that this version does not know, or that are not settled."""
        rows = {name: place for place, name in enumerate(SEGMENTS)}
        columns = {name: place for place, name in enumerate(TILTS)}
        known = [one for one in decisions if one.reward is not None and one.segment in rows and one.tilt in columns]
        # Anonymous lists are by nobody else: each stands for itself.
        names = [one.user_id or f"\0{one.recommendation_id}" for one in known]
        return cls(
            np.asarray([rows[one.segment] for one in known], np.int64),
            np.asarray([columns[one.tilt] for one in known], np.int64),
            np.asarray([one.propensity for one in known], np.float64),
            np.asarray([one.reward for one in known], np.float64),
            np.unique(np.asarray(names, object).astype(str), return_inverse=True)[1].astype(np.int64)
            if names
            else np.empty(0, np.int64),
        )

    def __len__(self) -> int:
        return len(self.reward)


def judge(logged: Logged, before: TiltPolicy, after: TiltPolicy, *, expected: NDArray[np.float64]) -> Judgement:
    """Compare two policies on the same decisions, of which `expected` (segments, tilts) must know nothing.

    Raises ValueError without decisions.
    """
    if not len(logged):
        raise ValueError("there are no settled decisions to judge by")
    cell = (logged.segment, logged.tilt)
    change = after.probabilities - before.probabilities
    parts = (change * expected).sum(axis=1)[logged.segment]
    parts = parts + change[cell] / logged.propensity * (logged.reward - expected[cell])
    return Judgement(
        decisions=len(logged),
        listeners=int(logged.listener.max()) + 1,
        before=_snips(logged, before.probabilities[cell] / logged.propensity),
        after=_snips(logged, after.probabilities[cell] / logged.propensity),
        difference=_mean(parts, np.ones(len(logged)), logged.listener),
    )


def _snips(logged: Logged, weights: NDArray[np.float64]) -> Estimate:
    return _mean(weights * logged.reward, weights, logged.listener)


def _mean(totals: NDArray[np.float64], weights: NDArray[np.float64], listener: NDArray[np.int64]) -> Estimate:
    """The ratio of two sums, with the variance that the sums of each listener imply."""
    weight = float(weights.sum())
    if weight <= 0:
        return Estimate(0.0, -math.inf, math.inf)
    value = float(totals.sum()) / weight
    residuals = np.bincount(listener, weights=totals - value * weights)
    groups = len(residuals)
    if groups < 2:
        return Estimate(value, -math.inf, math.inf)
    error = math.sqrt(float((residuals**2).sum()) * groups / (groups - 1)) / weight
    return Estimate(value, value - Z * error, value + Z * error)
