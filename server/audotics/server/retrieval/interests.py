"""Several query vectors of one listener: what each of them found goes in, one list of distinct rows comes out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.exact import PADDING


def merge_interests(
    scores: NDArray[np.float32], rows: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """At most k distinct rows of `rows` (q, m) and their scores, the first of every interest before all seconds.

    So each interest keeps its share, however high another's scores are. A row that several found stands where it ranks
    best, with its score there; the interests of a tie come in the order of their scores. PADDING is left out.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked_rows = np.take_along_axis(rows, order, axis=0).ravel(order="F")
    ranked_scores = np.take_along_axis(scores, order, axis=0).ravel(order="F")
    kept = ranked_rows != PADDING
    ranked_rows, ranked_scores = ranked_rows[kept], ranked_scores[kept]
    first = np.sort(np.unique(ranked_rows, return_index=True)[1])[:k]
    return ranked_scores[first], ranked_rows[first]
