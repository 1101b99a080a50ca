"""Sparse neighbours: what belongs beside a track in a catalogue too large for a matrix of all pairs.

EASE (Steck 2019, see `models/collaborative.py`) needs P = (G + λI)⁻¹ for the Gram matrix G of all n tracks. Steck 2019b
("Markov Random Fields for Collaborative Filtering") takes it from small parts of G instead, since tracks that are never
heard together have next to nothing to say of each other. Here every track i has a part of its own: itself and its k
nearest tracks S by cosine. One system (G_SS + λI)p = e_i gives its column of P, and

    weight_ij = -p_j / P_jj^a        score_j = Σ weight_ij over the tracks i of the history

with P_jj from track j's own system. The exponent a, λ and the exponent of the listeners' history lengths that scales
X's rows are chosen on validation data. λ has to be larger than for the whole of G: at half of what EASE likes, weights
were worse than plain cosines, and the worse the more neighbours there were. `weighting="cosine"` leaves the cosines as
they are, shrunk where two tracks have few listeners.

Nothing of size (n, n) is ever made: a block of rows of G at a time, and of those the k largest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from audotics.features.history import MAX_HISTORY
from audotics.models.factors import Histories, history_rows

BLOCK_TRACKS: Final = 1_000
"""Rows of the Gram matrix in memory at once."""


@dataclass(frozen=True, slots=True)
class NeighboursOptions:
    """Hyper-parameters. `l2` is λ and `shrinkage` is added below the cosines, both in units of G's mean diagonal."""

    algorithm: Literal["neighbours"] = "neighbours"
    weighting: Literal["inverse", "cosine"] = "inverse"
    neighbours: int = 128
    user_exponent: float = 0.25
    l2: float = 4.0
    item_exponent: float = 0.75
    shrinkage: float = 0.0


@dataclass(frozen=True, slots=True)
class Nearest:
    """Each track's nearest ones, best first: rows int32 (n, k), cosines float32 (n, k), 0 where there are fewer than k.

    `matrix` is X with its rows scaled, by columns, and `diagonal` that of its Gram matrix.
    """

    rows: NDArray[np.int32]
    cosines: NDArray[np.float32]
    matrix: sparse.csc_matrix
    diagonal: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Inverse:
    """Parts of P = (G + λI)⁻¹: float64 (n, k) at the nearest tracks' rows, and its diagonal (n,)."""

    entries: NDArray[np.float64]
    diagonal: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NeighboursModel:
    """Neighbours of n tracks: their rows int32 (n, k), weights float32 (n, k), 0 where there are fewer than k."""

    neighbours: NDArray[np.int32]
    weights: NDArray[np.float32]
    options: NeighboursOptions

    def __len__(self) -> int:
        return len(self.neighbours)

    def scores(self, histories: Histories, *, longest: int = MAX_HISTORY) -> NDArray[np.float32]:
        """float32 (b, n); 0 for tracks that are no neighbours of the history, and for an empty history."""
        n, k = self.neighbours.shape
        offsets = np.arange(n + 1, dtype=np.int64) * k
        table = sparse.csr_matrix((self.weights.ravel(), self.neighbours.ravel(), offsets), shape=(n, n))
        return np.asarray((history_rows(histories, n, longest=longest) @ table).todense(), np.float32)

    def save(self, folder: Path) -> None:
        np.savez(folder / "model.npz", neighbours=self.neighbours, weights=self.weights)

    @classmethod
    def load(cls, folder: Path, options: dict[str, Any]) -> NeighboursModel:
        with np.load(folder / "model.npz", allow_pickle=False) as arrays:
            return cls(arrays["neighbours"], arrays["weights"], NeighboursOptions(**options))


def find_nearest(
    matrix: sparse.csr_matrix, options: NeighboursOptions, *, on_tracks: Callable[[int], None] = lambda tracks: None
) -> Nearest:
    """Compare all tracks of the binary (listeners, n) `matrix`, and keep the `options.neighbours` nearest of each.

    `on_tracks` hears of the tracks done since its last call.
    """
    lengths = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
    scaled = sparse.csc_matrix(sparse.diags(lengths**-options.user_exponent) @ matrix).astype(np.float32)
    diagonal = np.asarray(scaled.power(2).sum(axis=0), np.float64).ravel()
    n_tracks, k = len(diagonal), max(1, min(options.neighbours, len(diagonal) - 1))
    norms = np.sqrt(np.maximum(diagonal, 1e-12))
    shrinkage = options.shrinkage * diagonal.mean()
    rows, cosines = np.zeros((n_tracks, k), np.int32), np.zeros((n_tracks, k), np.float32)
    transposed = sparse.csr_matrix(scaled.T)
    for start in range(0, n_tracks, BLOCK_TRACKS):
        end = min(start + BLOCK_TRACKS, n_tracks)
        together = sparse.csr_matrix(transposed[start:end] @ scaled)
        owners = np.repeat(np.arange(start, end), np.diff(together.indptr))
        values = together.data / (norms[owners] * norms[together.indices] + shrinkage)
        values[owners == together.indices] = 0.0
        _keep_largest(rows[start:end], cosines[start:end], together, values)
        on_tracks(end - start)
    return Nearest(rows, cosines, scaled, diagonal)


def invert(nearest: Nearest, options: NeighboursOptions) -> Inverse:
    """Solve the small system of every track."""
    strength = options.l2 * float(nearest.diagonal.mean())
    entries, diagonal = np.zeros(nearest.rows.shape), np.zeros(len(nearest.rows))
    for track, row in enumerate(nearest.rows):
        used = nearest.cosines[track] > 0
        members = np.concatenate([[track], row[used]])
        part = nearest.matrix[:, members]
        gram = np.asarray((part.T @ part).todense(), np.float64)
        gram[np.diag_indices_from(gram)] += strength
        wanted = np.zeros(len(members))
        wanted[0] = 1.0
        column = np.linalg.solve(gram, wanted)
        diagonal[track], entries[track, used] = column[0], column[1:]
    return Inverse(entries, diagonal)


def weigh(nearest: Nearest, inverse: Inverse | None, options: NeighboursOptions) -> NeighboursModel:
    """The weights of the module's head, or the cosines without an `inverse`."""
    if inverse is None:
        return NeighboursModel(nearest.rows, nearest.cosines, options)
    weights = -inverse.entries / inverse.diagonal[nearest.rows] ** options.item_exponent
    return NeighboursModel(nearest.rows, weights.astype(np.float32), options)


def fit_neighbours(matrix: sparse.csr_matrix, options: NeighboursOptions) -> NeighboursModel:
    """Find, solve and weigh at once."""
    nearest = find_nearest(matrix, options)
    return weigh(nearest, invert(nearest, options) if options.weighting == "inverse" else None, options)


def _keep_largest(
    rows: NDArray[np.int32], kept: NDArray[np.float32], table: sparse.csr_matrix, values: NDArray[np.floating]
) -> None:
    """Write the largest of each row's `values`, in descending order, and their columns."""
    width = rows.shape[1]
    for row in range(len(rows)):
        inside = slice(table.indptr[row], table.indptr[row + 1])
        own, columns = values[inside], table.indices[inside]
        if len(own) > width:
            chosen = np.argpartition(own, len(own) - width)[-width:]
            own, columns = own[chosen], columns[chosen]
        order = np.lexsort((columns, -own))
        rows[row, : len(own)], kept[row, : len(own)] = columns[order], own[order]
