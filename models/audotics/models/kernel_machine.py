"""A kernel machine: points and their classes go in, a score for each class comes out.

Regularised least squares on one column a class with a Gaussian kernel (Rifkin & Klautau 2004, who find it as accurate
as a support vector machine). With more points than anchors, the solution is sought in the span of the anchors (subset
of regressors, Smola & Schölkopf 2000), so time and size stay bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

_ROWS_AT_ONCE: Final = 4_096
_JITTER: Final = 1e-8


@dataclass(frozen=True, slots=True)
class KernelMachine:
    """score = bias + exp(-gamma |point - anchor|²) · weights, with anchors (m, p), weights (m, c) and bias (c,)."""

    anchors: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    gamma: float

    @classmethod
    def fit(
        cls,
        points: NDArray[np.floating],
        labels: NDArray[np.integer],
        n_classes: int,
        *,
        gamma: float,
        ridge: float,
        max_anchors: int,
        seed: int,
    ) -> KernelMachine:
        """Fit on `points` (n, p); anchors are all of them, or `max_anchors` drawn at random."""
        return cls.fit_ridges(
            points, labels, n_classes, gamma=gamma, ridges=(ridge,), max_anchors=max_anchors, seed=seed
        )[0]

    @classmethod
    def fit_ridges(
        cls,
        points: NDArray[np.floating],
        labels: NDArray[np.integer],
        n_classes: int,
        *,
        gamma: float,
        ridges: tuple[float, ...],
        max_anchors: int,
        seed: int,
    ) -> list[KernelMachine]:
        """One machine for each of `ridges`, for little more than the price of one."""
        every = np.asarray(points, np.float64)
        targets = np.eye(n_classes)[labels]
        bias = targets.mean(axis=0)
        targets -= bias
        if len(every) <= max_anchors:
            anchors, square, projected = every, _kernel(every, every, gamma), targets
            penalty = np.eye(len(anchors))
        else:
            anchors = every[np.sort(np.random.default_rng(seed).permutation(len(every))[:max_anchors])]
            square, projected = np.zeros((max_anchors, max_anchors)), np.zeros((max_anchors, n_classes))
            for start in range(0, len(every), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                block = _kernel(every[rows], anchors, gamma)
                square += block.T @ block
                projected += block.T @ targets[rows]
            penalty = _kernel(anchors, anchors, gamma)
        square[np.diag_indices_from(square)] += _JITTER
        return [
            cls(anchors, linalg.solve(square + ridge * penalty, projected, assume_a="pos"), bias, gamma)
            for ridge in ridges
        ]

    def scores(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """float64 (n, c): near 1 for a point's class and near 0 for the others."""
        every = np.asarray(points, np.float64)
        parts = [
            self.bias + _kernel(every[start : start + _ROWS_AT_ONCE], self.anchors, self.gamma) @ self.weights
            for start in range(0, len(every), _ROWS_AT_ONCE)
        ]
        return np.concatenate([np.zeros((0, len(self.bias))), *parts])


def _kernel(rows: NDArray[np.float64], columns: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    own: NDArray[np.float64] = np.add.outer((rows**2).sum(axis=1), (columns**2).sum(axis=1))
    result: NDArray[np.float64] = np.exp(-gamma * np.maximum(own - 2.0 * rows @ columns.T, 0.0))
    return result
