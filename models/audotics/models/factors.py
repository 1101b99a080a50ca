"""What factorisations share: histories become sparse rows, and vectors get the scales that the server expects.

A listener's vector has unit length. Track vectors are centred and scaled, so that scores have mean 0 over the catalogue
and, on average over the training listeners, variance 1: a listener's ranking stays what it was, and scores of different
models can be weighed against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from audotics.features.history import MAX_HISTORY

SMALLEST_LENGTH = 1e-6
"""Shorter vectors of listeners are divided by this, so that the zero vector stays what it is."""

Histories = Sequence[NDArray[np.integer]]


def history_rows(histories: Histories, n_tracks: int, *, longest: int = MAX_HISTORY) -> sparse.csr_matrix:
    """Float32 (b, n): one row a history, cut to its last `longest` tracks; one that stands twice counts twice."""
    kept = [np.zeros(0, np.int64), *(history[-longest:] for history in histories)]
    offsets = np.cumsum([len(history) for history in kept])
    columns = np.concatenate(kept)
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=(len(histories), n_tracks))


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """The rows at unit length; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, SMALLEST_LENGTH)).astype(np.float32)


def standardised(track_factors: NDArray[np.floating], listeners: NDArray[np.floating]) -> NDArray[np.float32]:
    """Track vectors (n, d), as the module's head says, for factors (n, d) and the `listeners` (m, d) of training."""
    centred = track_factors.astype(np.float64) - track_factors.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred / max(len(centred), 1)
    units = unit_rows(listeners).astype(np.float64)
    variance = float(((units @ covariance) * units).sum(axis=1).mean()) if len(units) else 0.0
    return (centred / max(variance**0.5, 1e-12)).astype(np.float32)
