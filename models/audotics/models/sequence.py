"""Sequence: what is played soon after a listener's last tracks, from counted transitions.

A listener who heard track i and, d places later, track j adds decay^(d-1) to the count of i → j, up to `window` places.
A track's followers are the `neighbours` most counted ones, with

    p(j | i) = count(i → j) / (Σ_j count(i → j) + smoothing)
    score_j  = sqrt( Σ_d decay^(d-1) · p(j | the d-th last track) )        over the last `window` tracks

The smoothing keeps a track that was followed once from being certain of what follows it. Shares of this kind have a
long tail, which the root shortens, so that they can be weighed beside other scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from audotics.features.hybrid import RECENT_TRACKS

COUNTED_AT_ONCE = 4_000_000
"""Transitions held in memory before they are added up."""


@dataclass(frozen=True, slots=True)
class SequenceOptions:
    """Hyper-parameters. `window` is RECENT_TRACKS at most; `smoothing` is in transitions."""

    window: int = 10
    decay: float = 0.7
    smoothing: float = 10.0
    neighbours: int = 128

    def __post_init__(self) -> None:
        if not 1 <= self.window <= RECENT_TRACKS:
            raise ValueError(f"the window must lie between 1 and {RECENT_TRACKS} tracks, but is {self.window}")


@dataclass(frozen=True, slots=True)
class SequenceModel:
    """Followers of each of n tracks: their rows int32 (n, k), and p float32 (n, k), 0 where there are fewer than k."""

    followers: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    options: SequenceOptions

    def __len__(self) -> int:
        return len(self.followers)

    def scores(self, histories: Sequence[NDArray[np.integer]]) -> NDArray[np.float32]:
        """float32 (b, n), not negative; 0 for tracks that never came soon after, and for an empty history."""
        n, k = self.followers.shape
        offsets = np.arange(n + 1, dtype=np.int64) * k
        table = sparse.csr_matrix((self.probabilities.ravel(), self.followers.ravel(), offsets), shape=(n, n))
        return np.sqrt(np.asarray((self._recent(histories) @ table).todense(), np.float32))

    def save(self, folder: Path) -> None:
        np.savez(folder / "model.npz", followers=self.followers, probabilities=self.probabilities)

    @classmethod
    def load(cls, folder: Path, options: dict[str, Any]) -> SequenceModel:
        with np.load(folder / "model.npz", allow_pickle=False) as arrays:
            return cls(arrays["followers"], arrays["probabilities"], SequenceOptions(**options))

    def _recent(self, histories: Sequence[NDArray[np.integer]]) -> sparse.csr_matrix:
        """One row a history: decay^(d-1) at its d-th last track."""
        kept = [history[-self.options.window :][::-1] for history in histories]
        lengths = [len(rows) for rows in kept]
        places = np.concatenate([np.zeros(0, np.int64), *(np.arange(length) for length in lengths)])
        columns = np.concatenate([np.zeros(0, np.int64), *kept])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        values = np.float32(self.options.decay) ** places.astype(np.float32)
        return sparse.csr_matrix((values, columns, offsets), shape=(len(kept), len(self)))


def count_transitions(
    histories: Sequence[NDArray[np.integer]], n_tracks: int, options: SequenceOptions
) -> SequenceModel:
    """Count the transitions of `histories`, oldest first, and keep each track's likeliest followers."""
    rows = np.concatenate([np.zeros(0, np.int64), *histories]).astype(np.int64)
    listeners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    counts = sparse.csr_matrix((n_tracks, n_tracks), dtype=np.float64)
    for distance in range(1, min(options.window, len(rows) - 1) + 1):
        same = np.flatnonzero(listeners[:-distance] == listeners[distance:])
        for start in range(0, len(same), COUNTED_AT_ONCE):
            chunk = same[start : start + COUNTED_AT_ONCE]
            values = np.full(len(chunk), options.decay ** (distance - 1))
            pairs = (rows[chunk], rows[chunk + distance])
            counts = counts + sparse.csr_matrix((values, pairs), shape=counts.shape)
    totals = np.asarray(counts.sum(axis=1)).ravel() + options.smoothing
    return _likeliest(sparse.csr_matrix(sparse.diags(1.0 / np.maximum(totals, 1e-9)) @ counts), options)


def _likeliest(table: sparse.csr_matrix, options: SequenceOptions) -> SequenceModel:
    """The largest entries of each row, in descending order."""
    n = table.shape[0]
    owners = np.repeat(np.arange(n), np.diff(table.indptr))
    order = np.lexsort((table.indices, -table.data, owners))
    places = np.arange(len(order)) - np.repeat(table.indptr[:-1], np.diff(table.indptr))
    kept = places < options.neighbours
    width = int(places[kept].max(initial=0)) + 1
    followers, probabilities = np.zeros((n, width), np.int32), np.zeros((n, width), np.float32)
    followers[owners[kept], places[kept]] = table.indices[order[kept]]
    probabilities[owners[kept], places[kept]] = table.data[order[kept]]
    return SequenceModel(followers, probabilities, options)
