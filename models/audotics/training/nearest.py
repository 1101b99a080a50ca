"""Ranking by content alone: embeddings of tracks go in, a scorer comes out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.ranking import Histories, Scorer
from audotics.features.content import Embeddings
from audotics.features.hybrid import content_scores


def nearest(tracks: Embeddings) -> Scorer:
    """Scores each of the n tracks by `content_scores` against those heard; without a history all get 0."""

    def score(histories: Histories) -> NDArray[np.float32]:
        return np.stack([np.nan_to_num(content_scores(tracks, tracks.vectors[history])) for history in histories])

    return score


def nearest_vectors(vectors: NDArray[np.float32]) -> Scorer:
    """The same for unit vectors (n, d) that are all of one length."""
    return nearest(Embeddings(vectors, np.ones(len(vectors), np.float32)))
