"""Listening histories: ragged lists of track rows go in, padded model inputs come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

PADDING: Final = -1
MAX_HISTORY: Final = 256
"""Most recent tracks of a listener that models look at. Longer histories are cut at the old end."""

POSITIVE_EVENTS: Final = frozenset({"play", "complete", "like", "save", "add_to_playlist", "share"})
"""Events that put a track into a listener's history. A rating does from LIKED_RATING up."""

SEEN_EVENTS: Final = POSITIVE_EVENTS | {"skip", "dislike", "rating"}
"""Events after which a track never comes back in that listener's lists."""

LIKED_RATING: Final = 3.0


def is_positive(event: str, rating: float | None) -> bool:
    """Whether an event says that the listener wants more of the kind."""
    if event == "rating":
        return rating is not None and rating >= LIKED_RATING
    return event in POSITIVE_EVENTS


def pad_histories(histories: Sequence[NDArray[np.integer]], *, max_length: int = MAX_HISTORY) -> NDArray[np.int64]:
    """Return int64 (n, L): the last `max_length` rows of each history, oldest first, then PADDING.

    L is the longest kept history, at least 1, so that an empty history is a row of padding.
    """
    kept = [history[-max_length:] for history in histories]
    length = max([1, *(len(history) for history in kept)])
    padded = np.full((len(kept), length), PADDING, np.int64)
    for row, history in enumerate(kept):
        padded[row, : len(history)] = history
    return padded
