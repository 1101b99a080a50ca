"""The product's metrics: what happened to each list goes in, a numerator and a denominator a listener come out.

A list's events are those that name it, of its listener. Of each list is known whether it engaged (an event of
`features.history.POSITIVE_EVENTS`, or a rating from `LIKED_RATING` up, followed), how many of its tracks were started,
completed and skipped, whether one was added to a playlist, and what was said of them. Over the lists of a listener's
observation window, with the sums of each:

    engagement          Σ lists that engaged / Σ lists
    completion          Σ tracks completed / Σ tracks started          (started: played, completed or skipped)
    skip_rate           Σ tracks skipped / Σ tracks started
    playlist_creation   Σ lists with a track that was added to a playlist / Σ lists
    group_activity      Σ what happened in sessions of groups / Σ lists
    diversity           Σ diversity of a list / Σ lists                (of `list_diversity`)
    satisfaction        Σ opinion / Σ opinions                         (rating / 5, or 1 or 0)

An arm's value is the ratio of these sums over its listeners. `features.outcomes` says which events are which. What a
listener did in sessions, and what happened in a session that is itself in the experiment, counts for the list before.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

METRICS: Final = (
    "engagement",
    "completion",
    "skip_rate",
    "playlist_creation",
    "group_activity",
    "diversity",
    "satisfaction",
)
LESS_IS_BETTER: Final = frozenset({"skip_rate"})

_NUMERATORS: Final = MappingProxyType(
    {
        "engagement": "engaged",
        "completion": "completed",
        "skip_rate": "skipped",
        "playlist_creation": "added",
        "group_activity": "group_events",
        "diversity": "diversity",
        "satisfaction": "opinion",
    }
)
_DENOMINATORS: Final = MappingProxyType({"completion": "started", "skip_rate": "started", "satisfaction": "opinions"})


@dataclass(frozen=True, slots=True, eq=False)
class ListOutcomes:
    """n lists that arms have made, in the order they were made, and what followed within the observation window.

    `listener` numbers the listeners from 0, `arm` the arms as `arms` lists them. `entered_at` is when the listener got
    the first list, `created_at` when this one was made, UTC seconds.
    """

    arms: tuple[str, ...]
    listener: NDArray[np.int64]
    arm: NDArray[np.int64]
    propensity: NDArray[np.float64]
    entered_at: NDArray[np.float64]
    created_at: NDArray[np.float64]
    history_length: NDArray[np.int64]
    mood: NDArray[np.object_]
    engaged: NDArray[np.float64]
    started: NDArray[np.float64]
    completed: NDArray[np.float64]
    skipped: NDArray[np.float64]
    added: NDArray[np.float64]
    group_events: NDArray[np.float64]
    diversity: NDArray[np.float64]
    opinion: NDArray[np.float64]
    opinions: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.listener)

    def take(self, chosen: NDArray[np.bool_]) -> ListOutcomes:
        """The lists where `chosen` (n,) is true."""
        arrays = {item.name: getattr(self, item.name)[chosen] for item in fields(self) if item.name != "arms"}
        return ListOutcomes(self.arms, **arrays)

    def observed(self, *, now: float, window_s: float) -> ListOutcomes:
        """The lists of the windows that are over: what is known of them does not change any more."""
        within = self.created_at <= self.entered_at + window_s
        return self.take(within & (self.entered_at + window_s < now))

    def numerator(self, metric: str) -> NDArray[np.float64]:
        """Of each list (n,); it is also what a list earns when policies are compared."""
        values: NDArray[np.float64] = getattr(self, _NUMERATORS[metric])
        return values

    def denominator(self, metric: str) -> NDArray[np.float64]:
        """Of each list (n,)."""
        name = _DENOMINATORS.get(metric)
        return np.ones(len(self)) if name is None else getattr(self, name)

    def of_listeners(self, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums of the numerators and denominators of each listener there is, both (m,)."""
        _, numbers = np.unique(self.listener, return_inverse=True)
        return (
            np.bincount(numbers, weights=self.numerator(metric)).astype(np.float64),
            np.bincount(numbers, weights=self.denominator(metric)).astype(np.float64),
        )


def list_diversity(embeddings: NDArray[np.float32] | None, artists: NDArray[np.int32]) -> float:
    """Intra-list diversity, 1 less the mean cosine of all pairs (Ziegler et al. 2005), for unit vectors (k, d).

    Without embeddings it is the share of pairs by different artists, by `artists` (k,), -1 for an unknown one, who is
    like nobody else. 0 for fewer than two tracks.
    """
    k = len(artists)
    if k < 2:
        return 0.0
    if embeddings is not None:
        total = embeddings.sum(axis=0, dtype=np.float64)
        squares = float((embeddings.astype(np.float64) ** 2).sum())
        return 1.0 - (float(total @ total) - squares) / (k * (k - 1))
    same: int = sum(number * (number - 1) for number in np.bincount(artists[artists >= 0]).tolist())
    return 1.0 - same / (k * (k - 1))
