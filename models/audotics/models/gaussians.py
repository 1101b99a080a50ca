"""A Gaussian a class: points and their classes go in, log-densities come out.

Regularised discriminant analysis (Friedman 1989): each class has a covariance of its own, which is drawn towards what
is common to all classes. Points come whitened by the spread within classes (`whitening`), where that is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Gaussians:
    """score = offset - |point · factor - centre|² / 2, with factors (c, p, p), centres (c, p) and offsets (c,)."""

    factors: NDArray[np.float64]
    centres: NDArray[np.float64]
    offsets: NDArray[np.float64]

    @classmethod
    def fit(
        cls, points: NDArray[np.floating], labels: NDArray[np.integer], n_classes: int, *, shrinkage: float
    ) -> Gaussians:
        """Fit on `points` (n, p), at least one of each class; `shrinkage` in 0..1, and 1 leaves the identity alone."""
        points = np.asarray(points, np.float64)
        factors, centres, offsets = [], [], []
        for label in range(n_classes):
            own = points[labels == label]
            mean = own.mean(axis=0)
            covariance = (own - mean).T @ (own - mean) / max(len(own) - 1, 1)
            covariance = (1.0 - shrinkage) * covariance + shrinkage * np.eye(points.shape[1])
            factor = np.linalg.inv(np.linalg.cholesky(covariance)).T
            factors.append(factor)
            centres.append(mean @ factor)
            offsets.append(float(np.log(np.diag(factor)).sum()) + np.log(len(own) / len(points)))
        return cls(np.stack(factors), np.stack(centres), np.asarray(offsets))

    def scores(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """float64 (n, c): log-density and log-frequency of each class, up to a constant."""
        points = np.asarray(points, np.float64)
        distances = [
            ((points @ factor - centre) ** 2).sum(axis=1)
            for factor, centre in zip(self.factors, self.centres, strict=True)
        ]
        return self.offsets - np.stack(distances, axis=1) / 2.0


def whitening(points: NDArray[np.floating], labels: NDArray[np.integer], *, shrinkage: float) -> NDArray[np.float64]:
    """float64 (p, p): points · this have the identity as covariance within classes, as far as `shrinkage` allows.

    That covariance is first drawn towards its mean eigenvalue by `shrinkage` in 0..1, at 1 it is a mere scale.
    """
    points = np.asarray(points, np.float64)
    centred = points.copy()
    for label in np.unique(labels):
        centred[labels == label] -= points[labels == label].mean(axis=0)
    covariance = centred.T @ centred / max(len(points), 1)
    mean = float(np.trace(covariance)) / len(covariance)
    values, vectors = np.linalg.eigh((1.0 - shrinkage) * covariance + shrinkage * mean * np.eye(len(covariance)))
    result: NDArray[np.float64] = vectors / np.sqrt(np.maximum(values, 1e-12))
    return result
