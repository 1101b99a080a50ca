"""Non-negative matrix factorisation: binary histories go in, non-negative factors of tracks come out.

Scikit-learn factorises X ≈ W·Hᵀ with W, H ≥ 0 (Cichocki & Phan 2009, coordinate descent, from the non-negative double
SVD of Boutsidis & Gallopoulos 2008). Each of the few columns of H is a taste, and a listener is a mixture of tastes:
the w ≥ 0 that makes ‖x - H·w‖ smallest for the history x. That is a quadratic problem of `rank` unknowns,

    minimise ½ wᵀ(HᵀH)w - (Hᵀx)·w    over w ≥ 0

and `UPDATES` steps of projected gradients with Nesterov's momentum for strongly convex functions (2004, sec. 2.2) solve
it to more than float32's precision where the tastes are not all alike. The number is fixed, so that a graph can unroll
the same steps; multiplicative updates (Lee & Seung 2001) need thousands of them for four digits.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from audotics.features.history import MAX_HISTORY
from audotics.models.factors import Histories, history_rows, standardised, unit_rows

UPDATES: Final = 60


@dataclass(frozen=True, slots=True)
class NmfOptions:
    """Hyper-parameters. A listener's row is divided by its length to the power `user_exponent` before it is factorised.

    `l2` is scikit-learn's `alpha`, without the l1 part, of both factors.
    """

    algorithm: Literal["nmf"] = "nmf"
    rank: int = 20
    user_exponent: float = 0.0
    l2: float = 0.0
    iterations: int = 200


@dataclass(frozen=True, slots=True)
class Step:
    """One update, y → relu(y·matrix + gain·(Hᵀx)), and the momentum between two of them."""

    matrix: NDArray[np.float64]  # (d, d), symmetric
    gain: float
    momentum: float


@dataclass(frozen=True, slots=True)
class NmfModel:
    """float32 (n, d) each: `track_factors` is H with columns of unit length, `track_vectors` are what scores."""

    track_factors: NDArray[np.float32]
    track_vectors: NDArray[np.float32]
    options: NmfOptions

    def user_vectors(self, histories: Histories, *, longest: int = MAX_HISTORY) -> NDArray[np.float32]:
        """Fold listeners in: float32 (b, d) at unit length, not negative; an empty history gives the zero vector."""
        rows = history_rows(histories, len(self.track_factors), longest=longest)
        return unit_rows(_fold_in(rows, self.track_factors))

    def scores(self, histories: Histories, *, longest: int = MAX_HISTORY) -> NDArray[np.float32]:
        """float32 (b, n): scores of all tracks, about standardised over the catalogue."""
        return self.user_vectors(histories, longest=longest) @ self.track_vectors.T

    def save(self, folder: Path) -> None:
        np.savez(folder / "model.npz", track_factors=self.track_factors, track_vectors=self.track_vectors)

    @classmethod
    def load(cls, folder: Path, options: dict[str, Any]) -> NmfModel:
        with np.load(folder / "model.npz", allow_pickle=False) as arrays:
            return cls(arrays["track_factors"], arrays["track_vectors"], NmfOptions(**options))


def fit_nmf(matrix: sparse.csr_matrix, options: NmfOptions, *, seed: int) -> NmfModel:
    """Factorise the binary (listeners, n) `matrix`. A rank above either of its sides is cut to it."""
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    lengths = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
    scaled = sparse.csr_matrix(sparse.diags(lengths**-options.user_exponent) @ matrix).astype(np.float32)
    options = replace(options, rank=min(options.rank, *matrix.shape))
    factorisation = NMF(
        options.rank,
        init="nndsvda",
        alpha_W=options.l2,
        alpha_H=options.l2,
        l1_ratio=0.0,
        max_iter=options.iterations,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of iterations is a hyper-parameter
        factorisation.fit(scaled)
    factors = factorisation.components_.T.astype(np.float64)
    sizes = np.linalg.norm(factors, axis=0)
    factors = (factors / np.maximum(sizes, 1e-12)).astype(np.float32)
    return NmfModel(factors, standardised(factors, _fold_in(matrix, factors)), options)


def step(track_factors: NDArray[np.float32]) -> Step:
    """The update of the module's head for these factors."""
    factors = track_factors.astype(np.float64)
    gram = factors.T @ factors
    eigenvalues = np.linalg.eigvalsh(gram)
    largest, smallest = max(float(eigenvalues[-1]), 1e-12), max(float(eigenvalues[0]), 0.0)
    ratio = (smallest / largest) ** 0.5
    return Step(np.eye(len(gram)) - gram / largest, 1.0 / largest, (1.0 - ratio) / (1.0 + ratio))


def _fold_in(rows: sparse.csr_matrix, track_factors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Weights of the tastes, float64 (b, d), not yet at unit length."""
    update = step(track_factors)
    push = update.gain * (rows @ track_factors.astype(np.float64))
    weights = ahead = np.zeros_like(push)
    for _ in range(UPDATES):
        following = np.maximum(ahead @ update.matrix + push, 0.0)
        ahead = following + update.momentum * (following - weights)
        weights = following
    return weights
