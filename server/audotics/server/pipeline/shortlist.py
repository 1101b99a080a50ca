"""What a list is made from: a listener's candidates, scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from audotics.features.hybrid import COMPONENTS
from audotics.server.pipeline.relevance import Relevance
from audotics.server.pipeline.scoring import ScoredRows
from audotics.server.pipeline.slate import Slate
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Degradation

_PERSONAL: Final = [COMPONENTS.index(name) for name in ("collaborative", "ncf", "content", "sequence")]


@dataclass(frozen=True, slots=True, eq=False)
class Shortlist:
    """n catalogue rows (n,) with their relevance to a listener; `degraded` says what took no part in it."""

    taste: Taste
    rows: NDArray[np.int64]
    relevance: Relevance
    degraded: tuple[Degradation, ...]

    @classmethod
    def of(cls, slate: Slate, scored: ScoredRows) -> Self:
        """Without what only scoring needed, and the embeddings: they take most space, and are gathered in no time."""
        taste = replace(slate.taste, sounds=None, next_tracks=None)
        return cls(taste, slate.rows, Relevance.of(scored), (*slate.taste.degraded, *scored.degraded))

    @property
    def personal(self) -> bool:
        """Whether any score depends on the listener."""
        return bool(self.relevance.available[:, _PERSONAL].any())

    @property
    def size_bytes(self) -> int:
        """What its arrays take."""
        relevance, vector = self.relevance, self.taste.user_vector
        arrays = (self.rows, relevance.score, relevance.confidence, relevance.weights, relevance.components)
        taste = (self.taste.history,) if vector is None else (self.taste.history, vector)
        return sum(array.nbytes for array in (*arrays, relevance.available, *taste))

    def tilted(self, factors: tuple[float, ...]) -> Self:
        """As the weights of COMPONENTS times `factors` score it, () for as they are. What is remembered is without."""
        return replace(self, relevance=self.relevance.tilted(factors)) if factors else self

    def without(self, unwanted: NDArray[np.bool_], degraded: Sequence[Degradation]) -> Self:
        """The places that are not `unwanted`, bool (n,); `degraded` is said beside what took no part already."""
        kept = np.flatnonzero(~unwanted)
        return replace(
            self, rows=self.rows[kept], relevance=self.relevance.take(kept), degraded=(*degraded, *self.degraded)
        )

    def embeddings(self, snapshot: Snapshot, places: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Content embeddings float32 (k, d) of the rows at `places` (k,), None without a content model."""
        return None if snapshot.content is None else snapshot.content.vectors(self.rows[places])
