"""Ranking metrics: where the relevant tracks of each listener stand goes in, one number a listener comes out.

`ranks` float64 has shape (m,) where each of m listeners has one relevant track, or (m, r) where they have up to r, in
any order, with infinity in the places that a listener leaves empty. Ranks count from 0 among the candidates and may
lie between two places, where tracks tie. The formulas are those of TREC, as `ranx` has them; a listener without a
relevant track gets 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.calibration import BINS, reliability

UNLISTED: Final = float(np.finfo(np.float64).max)
"""Rank of a relevant track that is in no list: behind every other, but not infinite, which says that there is none."""


def hit_rate(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """1 where a relevant track stands among the first `k`, else 0."""
    return np.asarray((_several(ranks) < k).any(axis=1), np.float64)


def precision(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Share of the first `k` places that relevant tracks hold."""
    return np.asarray((_several(ranks) < k).sum(axis=1) / k, np.float64)


def recall(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Share of the relevant tracks that stand among the first `k`."""
    several = _several(ranks)
    return np.asarray((several < k).sum(axis=1) / _counts(several), np.float64)


def average_precision(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Precision at each relevant track among the first `k`, added up and divided by the number of all relevant ones."""
    ordered = np.sort(_several(ranks), axis=1)
    precisions = np.where(ordered < k, np.arange(1, ordered.shape[1] + 1) / (ordered + 1.0), 0.0)
    return np.asarray(precisions.sum(axis=1) / _counts(ordered), np.float64)


def ndcg(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain: 1 / log2(rank + 2) for each relevant track among the first `k`, over the
    most that as many relevant tracks can have there."""
    several = _several(ranks)
    gains = np.where(several < k, 1.0 / np.log2(several + 2.0), 0.0).sum(axis=1)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))
    return np.asarray(gains / ideal[np.minimum(_counts(several), k) - 1], np.float64)


def reciprocal_rank(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """1 / (rank + 1) of the first relevant track if it stands among the first `k`, else 0; its mean is the MRR."""
    first = _several(ranks).min(axis=1, initial=np.inf)
    return np.where(first < k, 1.0 / (first + 1.0), 0.0)


def list_ranks(lists: NDArray[np.integer], relevant: Sequence[NDArray[np.integer]]) -> NDArray[np.float64]:
    """Ranks (m, r) of the `relevant` tracks of each listener in their lists (m, k), UNLISTED for those that are not in.

    A list names no track twice; a place with a negative number is empty.
    """
    ranks = np.full((len(lists), max([1, *map(len, relevant)])), np.inf)
    for row, (listed, wanted) in enumerate(zip(lists, relevant, strict=True)):
        places = np.flatnonzero(np.isin(listed, wanted) & (listed >= 0))
        ranks[row, : len(places)] = places
        ranks[row, len(places) : len(wanted)] = UNLISTED
    return ranks


def expected_calibration_error(
    probabilities: NDArray[np.floating], outcomes: NDArray[np.floating], *, bins: int = BINS
) -> float:
    """Weighted mean gap between predicted and observed frequency over equally filled bins (Nguyen & O'Connor 2015).

    `probabilities` in 0..1 and `outcomes` in {0, 1} have shape (n,).
    """
    curve = reliability(probabilities, outcomes, bins=bins)
    return sum(part.count * abs(part.predicted - part.observed) for part in curve) / max(len(probabilities), 1)


def _several(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    return ranks if ranks.ndim == 2 else ranks[:, None]


def _counts(several: NDArray[np.float64]) -> NDArray[np.int64]:
    """Relevant tracks of each listener, at least 1."""
    return np.asarray(np.maximum(np.isfinite(several).sum(axis=1), 1), np.int64)
