"""What a server has learned of the weights of its hybrid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TiltUpdateOutcome(StrEnum):
    """What became of a proposed policy. `UNKNOWN` stands for an outcome that only a newer client knows."""

    UNKNOWN = "unknown"
    PUBLISHED = "published"
    DROPPED = "dropped"
    REVERTED = "reverted"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class TiltPolicy:
    """How probably each tilt of a version of the hybrid is drawn, by segment and name.

    `number` 0: nothing was learned yet. `hybrid_version` is 0 where no hybrid makes the lists.
    """

    arm: str
    number: int
    segments: dict[str, dict[str, float]]
    hybrid_version: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TiltEvidence:
    """Two policies on the same lists: the reward a list of the one in force and of the other, and the difference."""

    decision_count: int
    listener_count: int
    before: Estimate
    after: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class TiltUpdate:
    """What became of a proposed policy, and why. `evidence` is None where nothing was estimated."""

    arm: str
    number: int
    outcome: TiltUpdateOutcome
    created_at: datetime
    replaced: int
    reason: str
    evidence: TiltEvidence | None
    policy: TiltPolicy
