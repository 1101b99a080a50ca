"""What another policy would have earned: settled decisions and two policies go in, estimates with intervals come out.

Estimates are those of `features.off_policy`: the reward under each policy by SNIPS, and doubly robust the difference,

    mean of Σₐ δ(a|sᵢ)q(sᵢ,a) + δ(aᵢ|sᵢ)/pᵢ · (rᵢ - q(sᵢ,aᵢ))

with p the logged propensity, q the expected reward learned from other decisions, and δ the new policy's probability
less the old one's. It is estimated in one go, so that what both policies share costs no width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.features.interval import Interval
from audotics.features.off_policy import doubly_robust, snips
from audotics.features.tilts import TILTS
from audotics.server.learning.policy import TiltPolicy
from audotics.server.learning.segments import SEGMENTS
from audotics.server.storage.decisions import StoredDecision


@dataclass(frozen=True, slots=True)
class Judgement:
    """Mean reward a list under the policy `before` and `after`, and how much more the latter earns."""

    decisions: int
    listeners: int
    before: Interval
    after: Interval
    difference: Interval

    def to_json(self) -> dict[str, Any]:
        return {
            "decisions": self.decisions,
            "listeners": self.listeners,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "difference": self.difference.to_json(),
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
    return Judgement(
        decisions=len(logged),
        listeners=int(logged.listener.max()) + 1,
        before=snips(before.probabilities[cell] / logged.propensity, logged.reward, listeners=logged.listener),
        after=snips(after.probabilities[cell] / logged.propensity, logged.reward, listeners=logged.listener),
        difference=doubly_robust(
            change[cell] / logged.propensity,
            logged.reward,
            expected=(change * expected).sum(axis=1)[logged.segment],
            predicted=expected[cell],
            listeners=logged.listener,
        ),
    )
