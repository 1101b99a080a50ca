"""What another policy would have earned: settled decisions and two policies go in, estimates with intervals come out.

With rᵢ what list i earned and gᵢₐ how much more tilt a would have earned with it (`credit`), a policy π would earn

    mean of rᵢ + Σₐ π(a|sᵢ) gᵢₐ

and the difference of two policies is estimated in one go, so that what both share costs no width.

Credit supposes that what a listener says of a track does not depend on its place. So there is a second estimate of the
difference that supposes nothing, and is wide: gᵢₐ is then ([a was drawn] / pᵢ - 1)(rᵢ - r̄) with p the logged propensity
(IPS, with the mean reward r̄ for a control variate). It also stands in for lists without credit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.features.interval import Interval
from audotics.features.off_policy import ratio_interval
from audotics.features.tilts import TILTS
from audotics.server.learning.policy import TiltPolicy
from audotics.server.learning.segments import SEGMENTS
from audotics.server.storage.decisions import StoredDecision


@dataclass(frozen=True, slots=True)
class Judgement:
    """Mean reward a list under the policy `before` and `after`, and how much more the latter earns.

    `check` estimates the difference without the help of credit.
    """

    decisions: int
    listeners: int
    before: Interval
    after: Interval
    difference: Interval
    check: Interval

    def to_json(self) -> dict[str, Any]:
        return {
            "decisions": self.decisions,
            "listeners": self.listeners,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "difference": self.difference.to_json(),
            "check": self.check.to_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """m settled decisions: `segment` places, `reward` and numbers of listeners (m,), `gain` and `check` (m, tilts).

    `gain` says how much more than the list did each of TILTS would have earned; its mean under the policy that made the
    list is 0. `check` says so without credit.
    """

    segment: NDArray[np.int64]
    reward: NDArray[np.float64]
    gain: NDArray[np.float64]
    check: NDArray[np.float64]
    listener: NDArray[np.int64]

    @classmethod
    def of(cls, decisions: Sequence[StoredDecision]) -> Logged:
        """Without those of segments and tilts that this version does not know, or that are not settled."""
        rows = {name: place for place, name in enumerate(SEGMENTS)}
        columns = {name: place for place, name in enumerate(TILTS)}
        known = [one for one in decisions if one.reward is not None and one.segment in rows and one.tilt in columns]
        reward = np.asarray([one.reward for one in known], np.float64)
        # A group is one listener. Anonymous lists are by nobody else: each stands for itself.
        units = [one.user_id or f"\0{one.group_key or one.recommendation_id}" for one in known]
        names = np.asarray(units, np.str_)
        beyond = reward - (reward.mean() if len(known) else 0.0)
        check = np.repeat(-beyond[:, None], len(TILTS), axis=1)
        drawn = np.asarray([columns[one.tilt] for one in known], np.int64)
        check[np.arange(len(known)), drawn] += beyond / np.asarray([one.propensity for one in known], np.float64)
        gain = check.copy()
        for place, one in enumerate(known):
            if one.credits == []:
                gain[place] = 0.0  # nobody said anything of the list, so no tilt would have earned anything with it
            elif one.credits is not None and len(one.credits) == len(TILTS):
                gain[place] = np.asarray(one.credits) - reward[place]
        return cls(
            np.asarray([rows[one.segment] for one in known], np.int64),
            reward,
            gain,
            check,
            np.unique(names, return_inverse=True)[1].astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.reward)


def judge(logged: Logged, before: TiltPolicy, after: TiltPolicy) -> Judgement:
    """Compare two policies on the same decisions. Raises ValueError without decisions."""
    if not len(logged):
        raise ValueError("there are no settled decisions to judge by")

    def mean(values: NDArray[np.float64]) -> Interval:
        return ratio_interval(values, np.ones(len(values)), listeners=logged.listener)

    gains = [(policy.probabilities[logged.segment] * logged.gain).sum(axis=1) for policy in (before, after)]
    change = (after.probabilities - before.probabilities)[logged.segment]
    return Judgement(
        decisions=len(logged),
        listeners=int(logged.listener.max()) + 1,
        before=mean(logged.reward + gains[0]),
        after=mean(logged.reward + gains[1]),
        difference=mean(gains[1] - gains[0]),
        check=mean((change * logged.check).sum(axis=1)),
    )
