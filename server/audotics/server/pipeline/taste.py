"""What a listener likes, in the terms of each model: history rows go in, vectors come out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audotics.features.history import MAX_HISTORY
from audotics.features.listener_features import RECENT, preference_vector
from audotics.server.errors import DeadlineError
from audotics.server.pipeline.patience import patience
from audotics.server.repository.snapshot import Snapshot
from audotics.server.runtime.model import InferenceError, Model
from audotics.server.types import Degradation, DegradationReason

_SAME_INTEREST = 0.9

_HOME_S = 0.05
"""What models at home may begin with, however late it is; in practice they take a hundredth of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Taste:
    """A listener as the models see them. `history` int64 (h,) holds the latest MAX_HISTORY rows, oldest first."""

    history: NDArray[np.int64]
    history_length: int
    user_vector: NDArray[np.float32] | None
    """float32 (d,), None when the collaborative model does not know the listener's tracks."""
    sounds: NDArray[np.float32] | None
    """Content embeddings float32 (h, d) of `history`, None without a content model."""
    degraded: tuple[Degradation, ...]
    next_tracks: NDArray[np.float32] | None = None
    """float32 (m,), what may come next, by rows of the sequence model; None when there is none, or nothing it knows."""

    @classmethod
    def read(cls, snapshot: Snapshot, history: NDArray[np.int64], *, deadline: float | None = None) -> Taste:
        """Encode all of a listener's history, oldest first.

        A model that fails is left out and named in `degraded`, and so is one on another server that has not answered at
        the `deadline` (as in `Model.run`). At home they are quick, and what is left when there is no time for others.
        """
        recent = history[-MAX_HISTORY:]
        user_vector = next_tracks = None
        degraded: tuple[Degradation, ...] = ()
        if snapshot.collaborative is not None:
            try:
                user_vector = snapshot.collaborative.user_vector(
                    recent, deadline=_patience(snapshot.collaborative.model, deadline)
                )
            except (InferenceError, DeadlineError) as error:
                degraded = (_left_out("collaborative", error),)
        if snapshot.sequence is not None:
            try:
                next_tracks = snapshot.sequence.next_tracks(
                    recent, deadline=_patience(snapshot.sequence.model, deadline)
                )
            except (InferenceError, DeadlineError) as error:
                degraded = (*degraded, _left_out("sequence", error))
        return cls(recent, len(history), user_vector, None, degraded, next_tracks).heard_again(snapshot)

    def heard_again(self, snapshot: Snapshot) -> Taste:
        """The same taste with its embeddings gathered from the snapshot."""
        return replace(self, sounds=None if snapshot.content is None else snapshot.content.vectors(self.history))

    def interests(self, limit: int) -> NDArray[np.float32]:
        """Up to `limit` unit vectors (q, d) that cover what the listener hears.

        The first is the mean of recent tracks, the others are tracks chosen farthest-first from those before.
        """
        if self.sounds is None or not len(self.sounds):
            return np.empty((0, 0), np.float32)
        recent = self.sounds[-RECENT:]
        chosen = [preference_vector(recent)]
        closest = recent @ chosen[0]
        while len(chosen) < limit:
            farthest = int(closest.argmin())
            if closest[farthest] > _SAME_INTEREST:
                break
            chosen.append(recent[farthest])
            closest = np.maximum(closest, recent @ recent[farthest])
        return np.stack(chosen)


def _patience(model: Model, deadline: float | None) -> float | None:
    if deadline is None or model.waits:
        return patience(model, deadline)
    return max(deadline, time.monotonic() + _HOME_S)


def _left_out(part: str, error: InferenceError | DeadlineError) -> Degradation:
    if isinstance(error, DeadlineError):
        return Degradation.late(part)
    return Degradation(part, DegradationReason.FAILED, str(error))
