"""A data set in memory: catalogue columns and the interactions of listeners with them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.features.tracks import TrackColumns


class DataError(Exception):
    """Data cannot be used. The message names the file, the line where there is one, the reason, and what to do."""

    def __init__(self, message: str, *, path: Path | None = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}:" if line is None else f"{path}:{line}:"
        super().__init__(f"{where} {message}".strip())
        self.path = path
        self.line = line


@dataclass(slots=True)
class LoadReport:
    """What a loader read and what it dropped, counted by reason, in plain words."""

    source: str
    read: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {"source": self.source, "read": dict(self.read), "dropped": dict(self.dropped)}


@dataclass(frozen=True, slots=True)
class Interactions:
    """Pairs of a listener and a track, at most one a pair, sorted by user and then by time.

    All arrays have shape (m,). `timestamps` are seconds since the epoch, or, where the source only keeps an order,
    the position in that order.
    """

    users: NDArray[np.int32]
    tracks: NDArray[np.int32]
    weights: NDArray[np.float32]
    timestamps: NDArray[np.int64]

    @classmethod
    def build(
        cls,
        users: NDArray[np.integer],
        tracks: NDArray[np.integer],
        *,
        weights: NDArray[np.floating] | None = None,
        timestamps: NDArray[np.integer] | None = None,
    ) -> Interactions:
        """Sort by user and time and join repeats of a pair: weights add up, the first time stays."""
        m = len(users)
        amounts = np.ones(m, np.float32) if weights is None else weights.astype(np.float32)
        times = np.arange(m, dtype=np.int64) if timestamps is None else timestamps.astype(np.int64)
        order = np.lexsort((times, users))
        users, tracks, amounts, times = users[order], tracks[order], amounts[order], times[order]
        if m:
            pair = users.astype(np.int64) * (int(tracks.max()) + 1) + tracks
            _, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
            if len(first) < m:
                sums = np.bincount(inverse, weights=amounts).astype(np.float32)
                kept = np.argsort(first)
                first, amounts = first[kept], sums[kept]
                users, tracks, times = users[first], tracks[first], times[first]
        return cls(users.astype(np.int32), tracks.astype(np.int32), amounts, times)

    def __len__(self) -> int:
        return len(self.users)

    def take(self, chosen: NDArray[Any]) -> Interactions:
        """Keep some interactions, by mask or by increasing positions."""
        return Interactions(self.users[chosen], self.tracks[chosen], self.weights[chosen], self.timestamps[chosen])

    def offsets(self, n_users: int) -> NDArray[np.int64]:
        """Return int64 (n_users + 1,): user u's interactions stand at offsets[u]:offsets[u + 1]."""
        return np.searchsorted(self.users, np.arange(n_users + 1)).astype(np.int64)

    def histories(self, n_users: int) -> list[NDArray[np.int32]]:
        """One array of track rows a user, oldest first."""
        return np.split(self.tracks, self.offsets(n_users)[1:-1])


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named catalogue with its listeners. `user_ids` is an object array of shape (n_users,)."""

    name: str
    tracks: TrackColumns
    user_ids: NDArray[np.object_]
    interactions: Interactions
    report: LoadReport

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_tracks(self) -> int:
        return len(self.tracks)

    def with_interactions(self, interactions: Interactions) -> Dataset:
        """The same listeners and tracks with other interactions; `tracks.plays` is counted anew."""
        plays = np.bincount(interactions.tracks, minlength=self.n_tracks).astype(np.float32)
        return replace(self, interactions=interactions, tracks=replace(self.tracks, plays=plays))
