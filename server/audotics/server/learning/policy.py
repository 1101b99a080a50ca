"""A policy over tilts: a segment and a chance go in, the drawn tilt and its propensity come out.

Probabilities are fixed when a policy is made, so that drawing costs a search in a short list and its propensity is
exact. A policy does not change; a better one takes its place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from audotics.features.tilts import AS_TRAINED, TILTS
from audotics.server.learning.segments import SEGMENTS
from audotics.server.types import Draw

NAMES = tuple(TILTS)


@dataclass(frozen=True, slots=True, eq=False)
class TiltPolicy:
    """`probabilities` float64 (segments, tilts), in the order of SEGMENTS and TILTS. `number` is that of its record.

    `hybrid` is the version of the hybrid whose weights it tilts.
    """

    arm: str
    number: int
    probabilities: NDArray[np.float64]
    hybrid: int = 0

    @classmethod
    def start(cls, arm: str, *, exploration: float, hybrid: int = 0) -> Self:
        """Before anything is learned: the trained weights, but for a share `exploration` spread over all tilts."""
        probabilities = np.full((len(SEGMENTS), len(NAMES)), exploration / len(NAMES))
        probabilities[:, NAMES.index(AS_TRAINED)] += 1.0 - exploration
        return cls(arm, 0, probabilities, hybrid)

    def towards(self, target: NDArray[np.float64], *, step: float) -> NDArray[np.float64]:
        """Probabilities on the way to `target`, each segment no further from here than `step` in total variation."""
        distance = 0.5 * np.abs(target - self.probabilities).sum(axis=1, keepdims=True)
        share = np.minimum(1.0, step / np.maximum(distance, 1e-12))
        moved: NDArray[np.float64] = self.probabilities + share * (target - self.probabilities)
        return moved

    def to_json(self) -> dict[str, dict[str, float]]:
        """Segment → tilt → probability."""
        return {
            segment: dict(zip(NAMES, row, strict=True))
            for segment, row in zip(SEGMENTS, self.probabilities.tolist(), strict=True)
        }

    @classmethod
    def from_json(cls, arm: str, number: int, value: Mapping[str, Any], *, exploration: float, hybrid: int = 0) -> Self:
        """Segments that another version did not know begin anew; tilts that it alone knew leave weights as trained."""
        probabilities = cls.start(arm, exploration=exploration).probabilities
        for place, segment in enumerate(SEGMENTS):
            if (known := value.get(segment)) is not None:
                row = np.asarray([float(known.get(name, 0.0)) for name in NAMES])
                row[NAMES.index(AS_TRAINED)] += sum(float(share) for name, share in known.items() if name not in TILTS)
                probabilities[place] = row
        return cls(arm, number, probabilities, hybrid)


class Drawing:
    """Draws from a policy on the path of requests."""

    def __init__(self, policy: TiltPolicy) -> None:
        self.policy = policy
        self._cumulated = {
            segment: list(accumulate(row)) for segment, row in zip(SEGMENTS, policy.probabilities.tolist(), strict=True)
        }
        self._chances = {
            segment: tuple(row) for segment, row in zip(SEGMENTS, policy.probabilities.tolist(), strict=True)
        }

    def draw(self, segment: str, chance: float) -> Draw:
        """`chance` is uniform in [0, 1)."""
        place = min(bisect_right(self._cumulated[segment], chance), len(NAMES) - 1)
        name = NAMES[place]
        return Draw(
            arm=self.policy.arm,
            segment=segment,
            tilt=name,
            factors=TILTS[name],
            propensity=self._chances[segment][place],
            policy=self.policy.number,
            chances=self._chances[segment],
        )
