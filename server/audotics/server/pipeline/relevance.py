"""One relevance a row: components and the hybrid's opinion, if any, go in, scores and their make-up come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.hybrid import COMPONENTS
from audotics.features.tilts import tilted_weights
from audotics.server.pipeline.scoring import ScoredRows
from audotics.server.types import Contribution

FALLBACK_WEIGHTS: Final = np.asarray([0.3, 0.25, 0.15, 0.2, 0.05, 0.05], np.float32)
"""Weights of COMPONENTS without the hybrid; in each row they are shared out over those there are. Hand-set."""


@dataclass(frozen=True, slots=True, eq=False)
class Relevance:
    """n rows scored: score (n,) is the sum of weights * components (n, 6) over what is available (n, 6)."""

    score: NDArray[np.float32]
    confidence: NDArray[np.float32]
    weights: NDArray[np.float32]
    components: NDArray[np.float32]
    available: NDArray[np.bool_]

    @classmethod
    def of(cls, scored: ScoredRows) -> Relevance:
        """The hybrid's weights, score and confidence; without them the fall-back's."""
        components, available, weighing = scored.inputs.components, scored.inputs.available > 0, scored.weighing
        if weighing is None:
            return cls.fallback(components, available)
        return cls(weighing.score, weighing.confidence, weighing.weights, components, available)

    @classmethod
    def fallback(cls, components: NDArray[np.float32], available: NDArray[np.bool_]) -> Relevance:
        """Fixed weights on components (n, 6) standardised over these rows. No model vouches for it: confidence is 0."""
        count = np.maximum(available.sum(axis=0), 1)
        centred = np.where(available, components - np.where(available, components, 0.0).sum(axis=0) / count, 0.0)
        spread = np.sqrt((centred**2).sum(axis=0) / count)
        values = (centred / np.where(spread > 1e-6, spread, 1.0)).astype(np.float32)
        weights = np.where(available, FALLBACK_WEIGHTS, np.float32(0.0))
        weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-6))
        score = (weights * values).sum(axis=1, dtype=np.float32)
        return cls(score, np.zeros(len(score), np.float32), weights, values, available)

    def take(self, places: NDArray[np.int64]) -> Relevance:
        """The rows at `places` (k,), in that order; their scores stay what they are."""
        return Relevance(
            self.score[places],
            self.confidence[places],
            self.weights[places],
            self.components[places],
            self.available[places],
        )

    def tilted(self, factors: Sequence[float]) -> Relevance:
        """The same rows with the weights of COMPONENTS multiplied by `factors` (6,).

        The confidence stays the gate's own: it was calibrated on the weights as they were trained.
        """
        if all(factor == 1.0 for factor in factors):
            return self
        weights = tilted_weights(self.weights, factors)
        score = (weights * np.where(self.available, self.components, np.float32(0.0))).sum(axis=1, dtype=np.float32)
        return replace(self, weights=weights, score=score)

    def contributions(self, position: int) -> tuple[Contribution, ...]:
        """What each model added to one score; they sum up to it."""
        weights, values = self.weights[position].tolist(), self.components[position].tolist()
        return tuple(
            Contribution(name, weights[column], values[column])
            for column, name in enumerate(COMPONENTS)
            if self.available[position, column]
        )
