"""A proposal: what was earned and a policy go in, a bounded step to a better one comes out, judged on held-back lists.

The earlier decisions say what the step is, and in which segments it promises anything; the latest ones, held back, what
it is worth. It is published only when the lower end of the interval of its gain is above zero, and the estimate without
credit does not say the opposite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from audotics.server.learning.judgement import Judgement, Logged, judge
from audotics.server.learning.policy import TiltPolicy
from audotics.server.learning.thompson import Posterior, best_probabilities, promising
from audotics.server.storage.decisions import StoredDecision

LEAST_LISTENERS: Final = 20
"""Below this many, the variance between listeners says too little for an interval."""


@dataclass(frozen=True, slots=True)
class StepLimits:
    """How a policy may change. `max_step` is in total variation, of each segment."""

    exploration: float = 0.1
    max_step: float = 0.2


@dataclass(frozen=True, slots=True)
class Proposal:
    """A policy that might take the place of another, what it is worth, and whether that is enough."""

    policy: TiltPolicy
    judgement: Judgement
    accepted: bool
    reason: str


def propose(
    policy: TiltPolicy,
    *,
    earlier: Sequence[StoredDecision],
    held_back: Sequence[StoredDecision],
    number: int,
    limits: StepLimits,
) -> Proposal | None:
    """A step from `policy` to one of `number`; None where too few listeners would judge it."""
    posterior = Posterior.of(Logged.of(earlier))
    target = best_probabilities(posterior, exploration=limits.exploration, seed=number)
    stepped = policy.towards(target, step=limits.max_step)
    # Where nothing is learned yet a step is only more exploration: it would cost, and blur what the others gain.
    moving = promising(posterior, stepped - policy.probabilities)
    stepped = np.where(moving[:, None], stepped, policy.probabilities)
    proposed = replace(policy, number=number, probabilities=stepped)
    judgement = _judge(held_back, policy, proposed)
    if judgement is None:
        return None
    gain, check = judgement.difference, judgement.check
    accepted = gain.low > 0 and check.high >= 0
    verdict = "is above 0" if gain.low > 0 else "is not above 0"
    reason = (
        f"on {judgement.decisions} lists held back, its gain of {gain.estimate:+.4f} a list has a lower bound of "
        f"{gain.low:+.4f}, which {verdict}"
    )
    if check.high < 0:
        reason += f"; without shared credit it loses {-check.high:.4f} at least"
    return Proposal(proposed, judgement, accepted, reason)


def regret(policy: TiltPolicy, before: TiltPolicy, *, lists: Sequence[StoredDecision]) -> Judgement | None:
    """What going back to `before` would have changed on `lists` that were made under `policy`; None for too few.

    Both are compared on the same lists, so that a bad week does not count against the policy that it fell upon.
    """
    return _judge(lists, policy, before)


def _judge(decisions: Sequence[StoredDecision], policy: TiltPolicy, other: TiltPolicy) -> Judgement | None:
    logged = Logged.of(decisions)
    if not len(logged) or int(logged.listener.max()) + 1 < LEAST_LISTENERS:
        return None
    return judge(logged, policy, other)
