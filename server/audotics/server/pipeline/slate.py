"""Rows that are about to be scored for a listener, with everything that is known before the neural models run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline.signals import RowSignals
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Context


@dataclass(frozen=True, slots=True, eq=False)
class Slate:
    """n catalogue rows (n,), their content embeddings (n, d) where there is a content model, and their signals."""

    taste: Taste
    rows: NDArray[np.int64]
    embeddings: NDArray[np.float32] | None
    signals: RowSignals

    @classmethod
    def measure(cls, snapshot: Snapshot, taste: Taste, context: Context, *, rows: NDArray[np.int64]) -> Self:
        """Gather the embeddings of `rows` and let the single models score them."""
        embeddings = None if snapshot.content is None else snapshot.content.vectors(rows)
        return cls(
            taste, rows, embeddings, RowSignals.measure(snapshot, taste, context, rows=rows, embeddings=embeddings)
        )
