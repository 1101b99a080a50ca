"""Lists that were made, with all they were made from: what receipts are written from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline.group_query import GroupRecommendation, GroupTrack
from audotics.server.pipeline.selection import Selection
from audotics.server.pipeline.shortlist import Shortlist
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Context, Draw, RankedTrack, Recommendation, RecommendQuery, multiplied


@dataclass(frozen=True, slots=True, eq=False)
class MadeList:
    """Rows of `shortlist` are those of the snapshot's catalogue. `untilted` is what it was before the query's tilt."""

    snapshot: Snapshot
    query: RecommendQuery
    shortlist: Shortlist
    answer: Recommendation
    untilted: Shortlist
    selection: Selection

    def listed_with(self, factors: Sequence[float]) -> NDArray[np.int64]:
        """The catalogue rows of the list that would have been made had `factors` been drawn."""
        tilted = self.untilted.tilted(multiplied(self.query.tilt, factors))
        return self.untilted.rows[self.selection.places(self.snapshot, tilted)]


@dataclass(frozen=True, slots=True, eq=False)
class MadeGroupList:
    """A list for a group, and what its strategy made of n candidates: `rows` (n,) with `values` (n,).

    Neither members nor histories are here: a receipt outlives a member who is deleted. `group_key` is that of the
    query where arms of experiments or a drawn tilt made the list; `history_length` is the mean of its members'.
    `listed_with` is as in `MadeList`, None where no tilt was drawn or to make the list again would take too long.
    """

    snapshot: Snapshot
    context: Context
    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    answer: GroupRecommendation
    group_key: str = ""
    history_length: int = 0
    tilt: tuple[float, ...] = ()
    draw: Draw | None = None
    listed_with: Callable[[Sequence[float]], NDArray[np.int64]] | None = None


def is_shown(tracks: Sequence[RankedTrack | GroupTrack], shown: tuple[str, ...] | None) -> bool:
    """Whether a watcher has just these tracks already, in this order; None is shown to nobody yet."""
    return shown == tuple(track.track_id for track in tracks)
