"""Synthetic listening: a space of tastes goes in, the sessions of its listeners come out as interactions.

A listener has a main and a second interest. A session follows one of them: of tracks drawn by popularity, it keeps
those that suit the interest best, with some chance. So popularity and taste both show in the histories.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import Interactions
from audotics.data.synthetic.taste import TasteSpace, near

_SESSION_TRACKS: Final = 8  # most tracks of a session
_POOL: Final = 256  # tracks that a session chooses from
_AFFINITY: Final = 9.0  # logits from cosine 0 to cosine 1
_MAIN_INTEREST_SHARE: Final = 0.7
_INTEREST_SPREAD: Final = 0.5
_SESSION_SPREAD: Final = 0.3
_CHUNK: Final = 1_024  # sessions at once; bounds memory

_FIRST_SECOND: Final = 1_735_689_600  # 2025-01-01 UTC
_YEAR_S: Final = 365 * 24 * 3600
_TRACK_S: Final = 215


def draw_listening(space: TasteSpace, *, n_users: int, mean_history: float, rng: np.random.Generator) -> Interactions:
    """Histories over one year, with play counts as weights; a track that a listener meets again is joined."""
    lengths = np.maximum(2, np.rint(rng.gamma(2.0, mean_history / 2.0, n_users)).astype(np.int64))
    n_sessions = -(-lengths // _SESSION_TRACKS)
    users = np.repeat(np.arange(n_users), n_sessions)
    starts = _FIRST_SECOND + rng.integers(0, _YEAR_S, len(users))
    starts = starts[np.lexsort((starts, users))]
    session = np.arange(len(users)) - np.repeat(np.cumsum(n_sessions) - n_sessions, n_sessions)
    session_lengths = lengths[users] // n_sessions[users] + (session < lengths[users] % n_sessions[users])
    tastes = _session_tastes(space, users, n_users, rng=rng)
    cumulated = np.cumsum(space.popularity_weight)
    picks = np.concatenate(
        [
            _pick_tracks(space, tastes[first : first + _CHUNK], cumulated, rng=rng)
            for first in range(0, len(tastes), _CHUNK)
        ]
    )
    position = np.arange(_SESSION_TRACKS)
    heard = (position < session_lengths[:, None]) & (picks >= 0)
    times = starts[:, None] + position * _TRACK_S
    rows, columns = np.nonzero(heard)
    return Interactions.build(
        users[rows],
        picks[rows, columns],
        weights=rng.geometric(0.5, len(rows)).astype(np.float32),
        timestamps=times[rows, columns],
    )


def _session_tastes(
    space: TasteSpace, users: NDArray[np.int64], n_users: int, *, rng: np.random.Generator
) -> NDArray[np.float32]:
    """One unit vector a session."""
    liked = rng.integers(0, len(space.sub_genre_positions), (n_users, 2))
    interests = [near(space.sub_genre_positions[liked[:, i]], spread=_INTEREST_SPREAD, rng=rng) for i in (0, 1)]
    main = rng.random(len(users)) < _MAIN_INTEREST_SHARE
    return near(np.where(main[:, None], interests[0][users], interests[1][users]), spread=_SESSION_SPREAD, rng=rng)


def _pick_tracks(
    space: TasteSpace, tastes: NDArray[np.float32], cumulated: NDArray[np.float64], *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Int64 (sessions, _SESSION_TRACKS): different tracks in random order of liking, -1 where the pool has no more.

    Adding Gumbel noise and taking the best is drawing without replacement in proportion to exp(affinity).
    """
    pool = np.searchsorted(cumulated, rng.random((len(tastes), _POOL)))
    pool = np.sort(np.minimum(pool, len(cumulated) - 1), axis=1)
    scores = np.einsum("spd,sd->sp", space.track_positions[pool], tastes) * np.float32(_AFFINITY)
    drawn = rng.standard_exponential(pool.shape, dtype=np.float32)
    scores -= np.log(np.maximum(drawn, np.finfo(np.float32).tiny))  # a draw may be 0
    scores[:, 1:][pool[:, 1:] == pool[:, :-1]] = -np.inf
    best = np.argpartition(-scores, _SESSION_TRACKS - 1, axis=1)[:, :_SESSION_TRACKS]
    picks = np.where(np.isneginf(np.take_along_axis(scores, best, 1)), -1, np.take_along_axis(pool, best, 1))
    return rng.permuted(picks, axis=1)
