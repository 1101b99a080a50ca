"""A list that was made, with all it was made from: what a receipt is written from."""

from __future__ import annotations

from dataclasses import dataclass

from audotics.server.pipeline.shortlist import Shortlist
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Recommendation, RecommendQuery


@dataclass(frozen=True, slots=True, eq=False)
class MadeList:
    """Rows of `shortlist` are those of the snapshot's catalogue."""

    snapshot: Snapshot
    query: RecommendQuery
    shortlist: Shortlist
    answer: Recommendation
