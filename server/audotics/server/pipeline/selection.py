"""The choice of a list from a shortlist: rules go in with scored rows, places of the list's tracks come out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline.reranking import select, utility
from audotics.server.pipeline.shortlist import Shortlist
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Objectives


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list shall be like, however its tracks are scored; see `reranking`."""

    limit: int
    objectives: Objectives
    diversity: float
    artist_cap: int

    def places(self, snapshot: Snapshot, shortlist: Shortlist) -> NDArray[np.int64]:
        """Positions in `shortlist`, whose rows are those of the snapshot's catalogue, in the order of the list."""
        catalog, rows = snapshot.catalog, shortlist.rows
        return select(
            utility(shortlist.relevance.score, rows, signals=catalog.signals, objectives=self.objectives),
            embed=partial(shortlist.embeddings, snapshot),
            artists=catalog.artist_codes.take(rows),
            limit=self.limit,
            diversity=self.diversity,
            artist_cap=self.artist_cap,
        )
