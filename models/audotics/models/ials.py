"""Implicit alternating least squares: binary histories go in, factors of tracks come out.

Hu, Koren & Volinsky 2008, in the form of Rendle, Krichene, Zhang & Koren 2021 ("Revisiting the Performance of iALS on
Item Recommendation Benchmarks"), whose loss over listeners u and tracks i, with S the pairs that were heard, is

    Σ_S (w_u·h_i - 1)² + α₀ Σ_u Σ_i (w_u·h_i)² + λ Σ_u (|I_u| + α₀|I|)^ν ‖w_u‖² + λ Σ_i (|U_i| + α₀|U|)^ν ‖h_i‖²

With one side fixed, the other is solved for exactly, vector by vector:

    (Σ_{i∈I_u} h_i h_iᵀ + α₀ HᵀH + λ(|I_u| + α₀|I|)^ν · 1) w_u = Σ_{i∈I_u} h_i

That is also how a listener who was not in training is folded in. A rotation of all vectors changes no score, so the
factors are kept in the axes where HᵀH is diagonal. There everything but the listener's own tracks is a diagonal D:
short histories are solved for in as many unknowns as they have tracks, and conjugate gradients preconditioned by D need
few steps, which an ONNX graph, that knows no solver, unrolls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from audotics.features.history import MAX_HISTORY
from audotics.models.factors import Histories, history_rows, standardised, unit_rows

BLOCK_BYTES = 16_000_000
"""Memory for the vectors of the tracks, or listeners, of the rows that are solved for at once."""


@dataclass(frozen=True, slots=True)
class IalsOptions:
    """Hyper-parameters: `unobserved_weight` is α₀, `l2` λ, and `frequency_exponent` ν of the module's head.

    `initial_spread` is the standard deviation of a track's first factors times the root of the rank.
    """

    algorithm: Literal["ials"] = "ials"
    rank: int = 128
    unobserved_weight: float = 0.1
    l2: float = 0.01
    frequency_exponent: float = 1.0
    sweeps: int = 16
    initial_spread: float = 0.1


@dataclass(frozen=True, slots=True)
class IalsModel:
    """float32 (n, d) each: `track_factors` are the h_i, with HᵀH diagonal; `track_vectors` are what scores."""

    track_factors: NDArray[np.float32]
    track_vectors: NDArray[np.float32]
    options: IalsOptions

    def user_vectors(self, histories: Histories, *, longest: int = MAX_HISTORY) -> NDArray[np.float32]:
        """Fold listeners in, exactly: float32 (b, d) at unit length; an empty history gives the zero vector."""
        rows = history_rows(histories, len(self.track_factors), longest=longest)
        return unit_rows(_solve(rows, self.track_factors.astype(np.float64), self.options))

    def scores(self, histories: Histories, *, longest: int = MAX_HISTORY) -> NDArray[np.float32]:
        """float32 (b, n): scores of all tracks, about standardised over the catalogue."""
        return self.user_vectors(histories, longest=longest) @ self.track_vectors.T

    def unobserved_diagonal(self) -> NDArray[np.float64]:
        """α₀HᵀH (d,): what all tracks put into the diagonal of every listener's equations."""
        return self.options.unobserved_weight * np.square(self.track_factors, dtype=np.float64).sum(axis=0)

    def save(self, folder: Path) -> None:
        np.savez(folder / "model.npz", track_factors=self.track_factors, track_vectors=self.track_vectors)

    @classmethod
    def load(cls, folder: Path, options: dict[str, Any]) -> IalsModel:
        with np.load(folder / "model.npz", allow_pickle=False) as arrays:
            return cls(arrays["track_factors"], arrays["track_vectors"], IalsOptions(**options))


def fit_ials(
    matrix: sparse.csr_matrix,
    options: IalsOptions,
    *,
    seed: int,
    on_sweep: Callable[[], None] = lambda: None,
) -> IalsModel:
    """Factorise the binary (listeners, n) `matrix`. A sweep solves for all listeners, then for all tracks.

    A rank above the number of tracks is cut to it.
    """
    options = replace(options, rank=min(options.rank, matrix.shape[1]))
    spread = options.initial_spread / options.rank**0.5
    shape = (matrix.shape[1], options.rank)
    tracks = with_diagonal_gram((spread * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32))
    by_listener, by_track = sparse.csr_matrix(matrix), sparse.csr_matrix(matrix.T)
    for _ in range(options.sweeps):
        listeners = with_diagonal_gram(_solve(by_listener, tracks, options))
        tracks = with_diagonal_gram(_solve(by_track, listeners, options))
        on_sweep()
    return IalsModel(tracks, standardised(tracks, _solve(by_listener, tracks, options)), options)


def regularisation(counts: NDArray[np.integer], n_others: int, options: IalsOptions) -> NDArray[np.float64]:
    """λ(|I_u| + α₀|I|)^ν for vectors with `counts` pairs each, of which there could be `n_others`."""
    frequencies = counts + options.unobserved_weight * n_others
    return np.asarray(options.l2 * frequencies**options.frequency_exponent, np.float64)


def with_diagonal_gram(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """The vectors rotated so that their Gram matrix is diagonal, its largest entry first."""
    exact = vectors.astype(np.float64)
    axes = np.linalg.eigh(exact.T @ exact)[1][:, ::-1]
    return (exact @ axes).astype(np.float32)


def _solve(matrix: sparse.csr_matrix, others: NDArray[np.floating], options: IalsOptions) -> NDArray[Any]:
    """One vector a row of `matrix`, given those of its columns with a diagonal Gram matrix; the precision is theirs.

    For D the diagonal part of the normal equations and X (l, d) the vectors of a row's columns, the solution is
    (D + XᵀX)⁻¹Xᵀ1 = D⁻¹Xᵀ(1 + XD⁻¹Xᵀ)⁻¹1: whichever system is smaller is solved, for all rows of one length at once.
    """
    size, dtype = others.shape[1], others.dtype
    vectors = np.zeros((matrix.shape[0], size), dtype)
    counts = np.diff(matrix.indptr)
    spectrum = options.unobserved_weight * np.square(others, dtype=np.float64).sum(axis=0)
    strengths = regularisation(counts, len(others), options)
    for rows in _of_one_length(counts, size * dtype.itemsize):
        length = int(counts[rows[0]])
        places = matrix.indptr[rows][:, None] + np.arange(length)
        own = others[matrix.indices[places]]
        diagonal = (spectrum + strengths[rows, None]).astype(dtype)
        if length < size:
            divided = own / diagonal[:, None, :]
            systems = divided @ own.transpose(0, 2, 1) + np.eye(length, dtype=dtype)
            shares = np.linalg.solve(systems, np.ones((len(rows), length, 1), dtype))
            vectors[rows] = (divided * shares).sum(axis=1)
        else:
            systems = own.transpose(0, 2, 1) @ own
            systems[:, np.arange(size), np.arange(size)] += diagonal
            vectors[rows] = np.linalg.solve(systems, own.sum(axis=1)[:, :, None])[:, :, 0]
    return vectors


def _of_one_length(counts: NDArray[np.integer], vector_bytes: int) -> Iterator[NDArray[np.intp]]:
    """Rows with equal counts above 0, as many as BLOCK_BYTES allow."""
    for length in np.unique(counts[counts > 0]).tolist():
        rows = np.flatnonzero(counts == length)
        at_once = max(1, BLOCK_BYTES // (length * vector_bytes))
        yield from (rows[start : start + at_once] for start in range(0, len(rows), at_once))
