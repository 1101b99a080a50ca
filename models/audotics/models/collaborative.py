"""Collaborative factors: EASE (Steck 2019) as inner products of listener and track vectors, in closed form.

EASE scores track j for the binary history x as x·B with B = I - P·diag(1/P_jj) and P = (G + λI)⁻¹, where G = XᵀX is the
Gram matrix. With the eigendecomposition G = V·diag(s)·Vᵀ, P = (I - V·diag(g)·Vᵀ)/λ for g = s/(s + λ), so for a track
outside the history

    score_j = (x·V·diag(g)) · (V_j / (1 - Σ_k g_k V_jk²)^a)      with a = 1

exactly. That is an inner product: an index can search it, a listener is folded in by adding rows, and keeping only the
`rank` largest eigenvalues makes it scale. Four numbers generalise it and are chosen on validation data: the rank, λ,
the exponent a, and the exponent of the listeners' history lengths that scales X's rows. Tags and artists join as
further rows of X (side information, as in Steck's "collective" form), which brings tracks with few listeners together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from audotics.features.history import MAX_HISTORY
from audotics.features.tracks import TrackColumns

DENSE_TRACKS = 6_000
"""More tracks than this and the Gram matrix would fill memory: 6,000 make 290 MB."""


@dataclass(frozen=True, slots=True)
class CollaborativeOptions:
    """Hyper-parameters. `l2` is λ in units of the Gram matrix's mean diagonal.

    With `neighbours`, the vectors are factors of the weights that each track has for so many of its nearest
    (`models/factored_neighbours.py`), and there is no side information.
    """

    rank: int = 512
    l2: float = 2.0
    item_exponent: float = 0.5
    user_exponent: float = 0.0
    tag_weight: float = 0.0
    artist_weight: float = 0.0
    neighbours: int = 0


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Eigenvalues s (r,), largest first, and eigenvectors V (n, r) of the Gram matrix with its mean diagonal."""

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]
    mean_diagonal: float


@dataclass(frozen=True, slots=True)
class CollaborativeModel:
    """float32 (n, d) each: `history_vectors` are added up over a history, `track_vectors` are what scores.

    Listeners' vectors have unit length. Track vectors are centred and scaled so that scores have mean 0 over the
    catalogue and, on average over the training listeners, standard deviation 1.
    """

    history_vectors: NDArray[np.float32]
    track_vectors: NDArray[np.float32]
    options: CollaborativeOptions

    def user_vectors(self, histories: Sequence[NDArray[np.integer]]) -> NDArray[np.float32]:
        """Fold listeners in: float32 (b, d); an empty history gives the zero vector."""
        matrix = _rows(histories, len(self.history_vectors))
        raw = np.asarray(matrix @ self.history_vectors)
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        return (raw / np.maximum(lengths, 1e-6)).astype(np.float32)

    def scores(self, histories: Sequence[NDArray[np.integer]]) -> NDArray[np.float32]:
        """float32 (b, n): scores of all tracks, about standardised over the catalogue."""
        return self.user_vectors(histories) @ self.track_vectors.T

    def save(self, folder: Path) -> None:
        np.savez(
            folder / "model.npz",
            history_vectors=self.history_vectors,
            track_vectors=self.track_vectors,
        )

    @classmethod
    def load(cls, folder: Path, options: dict[str, Any]) -> CollaborativeModel:
        with np.load(folder / "model.npz", allow_pickle=False) as arrays:
            return cls(
                arrays["history_vectors"],
                arrays["track_vectors"],
                CollaborativeOptions(**options),
            )


def decompose(
    matrix: sparse.csr_matrix, tracks: TrackColumns, options: CollaborativeOptions, *, dense_tracks: int = DENSE_TRACKS
) -> Spectrum:
    """Decompose the Gram matrix of the binary (users, n) `matrix` with the side information of `options`.

    Up to `dense_tracks` tracks all eigenvalues are computed, beyond only the `options.rank` largest.
    """
    lengths = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
    blocks = [sparse.diags(lengths**-options.user_exponent) @ matrix]
    if options.tag_weight and len(tracks.tags.codes):
        blocks.append(options.tag_weight * _membership(tracks.tags.row_indices(), tracks.tags.codes, len(tracks)))
    known = np.flatnonzero(tracks.artists != "")
    if options.artist_weight and len(known):
        codes = np.unique(tracks.artists.astype(str), return_inverse=True)[1]
        blocks.append(options.artist_weight * _membership(known, codes[known], len(tracks)))
    stacked = sparse.vstack(blocks).tocsr().astype(np.float32)
    mean_diagonal = float(stacked.power(2).sum()) / max(len(tracks), 1)
    if len(tracks) <= dense_tracks:
        gram = np.asarray((stacked.T @ stacked).todense(), np.float64)
        # With two threads on two cores that others use too, OpenBLAS took thirteen times as long for 1,000 tracks.
        with threadpool_limits(1, user_api="blas"):
            values, vectors = np.linalg.eigh(gram)
    else:
        rank = min(options.rank, min(stacked.shape) - 1)
        _, singular, right = svds(stacked, k=rank, random_state=0, solver="arpack")
        values, vectors = singular.astype(np.float64) ** 2, right.T.astype(np.float64)
    order = np.argsort(values)[::-1]
    return Spectrum(np.maximum(values[order], 0.0), vectors[:, order], mean_diagonal)


def assemble(spectrum: Spectrum, options: CollaborativeOptions) -> CollaborativeModel:
    """Turn a spectrum into vectors: the closed form of the module's head."""
    values, vectors = spectrum.values[: options.rank], spectrum.vectors[:, : options.rank]
    shrink = values / (values + options.l2 * spectrum.mean_diagonal)
    diagonal = np.maximum(1.0 - vectors**2 @ shrink, 1e-3)
    track_vectors = vectors / diagonal[:, None] ** options.item_exponent
    track_vectors = track_vectors - track_vectors.mean(axis=0)
    # The mean square of a listener's k-th entry is proportional to g_k²·s_k, and entries do not correlate.
    energy = shrink**2 * values
    spread = np.sqrt((energy * (track_vectors**2).mean(axis=0)).sum() / max(energy.sum(), 1e-12))
    return CollaborativeModel(
        (vectors * shrink).astype(np.float32),
        (track_vectors / max(spread, 1e-12)).astype(np.float32),
        replace(options, rank=len(values)),
    )


def _membership(rows: NDArray[np.integer], groups: NDArray[np.integer], n_tracks: int) -> sparse.csr_matrix:
    """One row a group, scaled by size^-1/4, so that a tag on everything says less."""
    matrix = sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (groups, rows)), shape=(int(groups.max()) + 1, n_tracks)
    )
    sizes = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
    return sparse.diags(sizes**-0.25) @ matrix


def _rows(histories: Sequence[NDArray[np.integer]], n_tracks: int) -> sparse.csr_matrix:
    kept = [history[-MAX_HISTORY:] for history in histories]
    offsets = np.concatenate([[0], np.cumsum([len(history) for history in kept])]).astype(np.int64)
    columns = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=(len(kept), n_tracks))
