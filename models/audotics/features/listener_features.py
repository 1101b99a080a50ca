"""Features of a listener: what their events say and the tracks go in, distributions and a preference vector come out.

The server computes them from what it knows now, training from what the server knew at some time; both call this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.genres import GENRES
from audotics.features.listener_state import ListenerState
from audotics.features.tracks import TrackColumns

RECENT: Final = 50
"""Tracks of the preference vector, the last ones of the history."""

MOST_ARTISTS: Final = 20
_HOUR_S: Final = 3600.0
_DAY_S: Final = 24 * _HOUR_S
_THURSDAY: Final = 3
"""The weekday of the first of January 1970, counted from Monday."""


@dataclass(frozen=True, slots=True, eq=False)
class ListenerFeatures:
    """What is known of one listener. Shares sum to 1, or are all 0 when there is nothing to share out.

    `recent` holds the ids of the last RECENT tracks of the history, oldest first, `seen` those of all that must not
    come back. `artists` are pairs of a name and a share, the largest first, at most MOST_ARTISTS.
    """

    recent: tuple[str, ...]
    seen: frozenset[str]
    history_length: int
    genres: NDArray[np.float32]  # (10,), by GENRES: share of a genre in the marks of all tracks
    artists: tuple[tuple[str, float], ...]
    hours: NDArray[np.float32]  # (24,), UTC: shares of the events that made the history
    weekdays: NDArray[np.float32]  # (7,), UTC, from Monday
    audio: NDArray[np.float32]  # (11,), by AUDIO_FEATURES: mean over the tracks where it is known, NaN where nowhere
    preference_vector: NDArray[np.float32] | None  # (d,), unit length; None without embeddings or history

    @classmethod
    def of(
        cls,
        state: ListenerState,
        *,
        tracks: TrackColumns,
        genres: NDArray[np.bool_],
        rows_of: Callable[[Sequence[str]], NDArray[np.int64]],
        base: NDArray[np.int64] | None = None,
        embed: Callable[[NDArray[np.int64]], NDArray[np.float32]] | None = None,
    ) -> ListenerFeatures:
        """`genres` (n, 10) is the `genre_matrix` of the tracks, `rows_of` their rows by id, -1 for what is gone.

        `base` (b,) are rows that were heard before all events, oldest first; `embed` gives unit vectors (k, d) of rows.
        """
        liked = rows_of(state.liked)
        earlier = np.empty(0, np.int64) if base is None else base
        history = merged_history(earlier, judged=rows_of(state.judged), liked=liked)
        seen_rows = np.unique(np.concatenate([earlier, rows_of(state.seen)]))
        times = np.asarray(state.liked_at, np.float64)[liked >= 0]
        marks = genres[history].sum(axis=0)
        audio = tracks.audio[history]
        known = ~np.isnan(audio)
        sums = np.where(known, audio, np.float32(0)).sum(axis=0, dtype=np.float64)
        counts = known.sum(axis=0)
        recent = history[-RECENT:]
        return cls(
            recent=tuple(tracks.ids[recent]),
            seen=frozenset(tracks.ids[seen_rows[seen_rows >= 0]]),
            history_length=len(history),
            genres=_shares(marks, len(GENRES)),
            artists=_artists(tracks.artists[history].tolist()),
            hours=_shares(np.bincount((times % _DAY_S // _HOUR_S).astype(np.int64), minlength=24), 24),
            weekdays=_shares(np.bincount((times // _DAY_S + _THURSDAY).astype(np.int64) % 7, minlength=7), 7),
            audio=np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32),
            preference_vector=None if embed is None or not len(recent) else preference_vector(embed(recent)),
        )


def merged_history(
    base: NDArray[np.int64], *, judged: NDArray[np.int64], liked: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rows of what is liked, oldest first: of `base` what no event has `judged`, then what events say is `liked`.

    Rows of -1, for tracks that are not there, are left out.
    """
    history = np.concatenate([base[~np.isin(base, judged)], liked])
    return history[history >= 0]


def preference_vector(recent: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (d,), of unit length: the mean of unit vectors (k, d), or the last of them where they cancel out."""
    mean = recent.mean(axis=0)
    norm = math.sqrt(mean @ mean)
    return mean / norm if norm > 1e-6 else recent[-1]  # type: ignore[no-any-return]


def _shares(counts: NDArray[np.integer], n: int) -> NDArray[np.float32]:
    total = counts.sum()
    return (counts / total).astype(np.float32) if total else np.zeros(n, np.float32)


def _artists(names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Those without a name count for nobody; equal shares stand in the order of names."""
    counts: dict[str, int] = {}
    for name in names:
        if name:
            counts[name] = counts.get(name, 0) + 1
    total = sum(counts.values())
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_ARTISTS]
    return tuple((name, count / total) for name, count in most)
