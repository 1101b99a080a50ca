"""What is near to a listener: a taste goes in, the rows that searches find for it come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline.options import PipelineOptions
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.snapshot import Snapshot

_MOST_SEEN: Final = 300

_SEQUENCE_SHARE: Final = 4
"""For so many tracks by collaborative score there is one by what may come next."""


@dataclass(frozen=True, slots=True)
class SearchDepth:
    """How many tracks to search for: by collaborative score, and by sound for each of some interests."""

    collaborative: int
    content: int
    interests: int

    @classmethod
    def of(cls, options: PipelineOptions, *, limit: int, n_seen: int) -> SearchDepth:
        """Deep enough for `limit` tracks.

        The `n_seen` tracks that a listener knows are found first, and may be half of what is found at most.
        """
        known = min(n_seen, _MOST_SEEN)
        widen = max(1.0, 2.0 * limit / options.collaborative_candidates)

        def depth(wanted: float, known: int) -> int:
            return max(int(wanted), int(wanted / 2) + known)

        return cls(
            depth(widen * options.collaborative_candidates, known),
            depth(widen * options.candidates_per_interest, known // options.content_interests),
            options.content_interests,
        )


def search(
    snapshot: Snapshot, taste: Taste, depth: SearchDepth, *, allowed: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Rows near to a taste by collaborative score, sound or what may come next, in no order; a row may stand twice.

    `allowed`, bool over the catalogue, is what the indexes are searched for; None is everything.
    """
    found = [np.empty(0, np.int64)]
    if snapshot.collaborative is not None and taste.user_vector is not None:
        found.append(snapshot.collaborative.nearest(taste.user_vector, depth.collaborative, allowed=allowed))
    if snapshot.sequence is not None and taste.next_tracks is not None:
        found.append(snapshot.sequence.likeliest(taste.next_tracks, depth.collaborative // _SEQUENCE_SHARE))
    interests = taste.interests(depth.interests)
    if snapshot.content is not None and len(interests):
        index, rows = snapshot.content.index, snapshot.content.rows
        shown = None if allowed is None else rows.mask(allowed, index.size)
        by_sound = rows.to_catalog(index.search_together(interests, depth.content * len(interests), allowed=shown)[1])
        found.append(by_sound[by_sound >= 0])
    return np.concatenate(found)
