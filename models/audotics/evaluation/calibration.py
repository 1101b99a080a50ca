"""Calibration: predicted probabilities and what came true go in, a reliability curve comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Of `count` predictions, the mean and the share that came true."""

    predicted: float
    observed: float
    count: int

    def to_json(self) -> dict[str, float]:
        return {"predicted": self.predicted, "observed": self.observed, "count": self.count}


def reliability(
    probabilities: NDArray[np.floating], outcomes: NDArray[np.floating], *, bins: int = BINS
) -> list[ReliabilityBin]:
    """Sort predictions into equally filled bins, lowest first; `probabilities` in 0..1, `outcomes` in {0, 1}, (n,)."""
    order = np.argsort(probabilities, kind="stable")
    return [
        ReliabilityBin(float(probabilities[chunk].mean()), float(outcomes[chunk].mean()), len(chunk))
        for chunk in np.array_split(order, bins)
        if len(chunk)
    ]
