"""Ranking by vectors alone: unit vectors of tracks go in, a scorer comes out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.ranking import Histories, Scorer
from audotics.features.hybrid import content_scores


def nearest(vectors: NDArray[np.float32]) -> Scorer:
    """Scores each of `vectors` (n, d) by `content_scores` against those heard; without a history all get 0."""

    def score(histories: Histories) -> NDArray[np.float32]:
        return np.stack([np.nan_to_num(content_scores(vectors, vectors[history])) for history in histories])

    return score
