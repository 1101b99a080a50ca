"""Evaluation of group recommendation: scorers and held-out tracks with their negatives go in, metrics come out.

Satisfaction of a member with a list is what the list is worth to them, divided by what the best list of that length is
worth (Stratigi et al. 2020, "Fair sequential group recommendations", eq. 1). What a track is worth to a member comes
from a judge: a model of single listeners. Of the members' satisfactions, a group's is the mean, min-satisfaction the
least ("least misery", O'Connor et al. 2001), and harmony 1 less the mean difference of two members ("average pair-wise
disagreement", Amer-Yahia et al. 2009, section 2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.groups import NO_TRACK, GroupCandidates
from audotics.evaluation.metrics import hit_rate, ndcg

GroupScorer = Callable[[int, NDArray[np.int64]], NDArray[np.floating]]
"""Scores candidates (c,) for the group of a row: (c,), higher is better."""

Judge = Callable[[int, NDArray[np.int64]], NDArray[np.floating]]
"""What candidates (c,) are worth to each member of the group of a row: (m, c) in 0..1."""

K: Final = 5


def candidate_ranks(
    scorer: GroupScorer, candidates: GroupCandidates, *, on_group: Callable[[], None] = lambda: None
) -> NDArray[np.float64]:
    """Rank of each positive among its negatives, from 0, float64 (r,). A tie counts half.

    Scores that are NaN or infinite are an error: ValueError.
    """
    ranks = np.empty(len(candidates), np.float64)
    for group in np.unique(candidates.groups):
        rows = np.flatnonzero(candidates.groups == group)
        positives, negatives = candidates.positives[rows], candidates.negatives[rows]
        tracks = np.unique(np.concatenate([positives, negatives[negatives != NO_TRACK]])).astype(np.int64)
        scores = np.asarray(scorer(int(group), tracks), np.float64)
        if not np.isfinite(scores).all():
            raise ValueError("a scorer returned NaN or infinite scores")
        wanted = scores[np.searchsorted(tracks, positives)][:, None]
        against = scores[np.searchsorted(tracks, np.where(negatives == NO_TRACK, positives[:, None], negatives))]
        against = np.where(negatives == NO_TRACK, -np.inf, against)
        ranks[rows] = (against > wanted).sum(axis=1) + (against == wanted).sum(axis=1) / 2
        on_group()
    return ranks


def ranking_metrics(ranks: NDArray[np.float64], *, k: int = K) -> dict[str, float]:
    """Means over rows: {"hr@k": …, "ndcg@k": …}."""
    return {f"hr@{k}": float(hit_rate(ranks, k).mean()), f"ndcg@{k}": float(ndcg(ranks, k).mean())}


def member_satisfaction(worth: NDArray[np.floating], chosen: NDArray[np.integer]) -> NDArray[np.float64]:
    """float64 (m,): each member's satisfaction with the list `chosen` (k,), columns of `worth` (m, c) >= 0.

    1 for a member to whom nothing is worth anything: no list could have done better.
    """
    best = np.sort(worth, axis=1)[:, ::-1][:, : len(chosen)].sum(axis=1)
    got = worth[:, chosen].sum(axis=1)
    return np.where(best > 0, got / np.where(best > 0, best, 1.0), 1.0).astype(np.float64)


def harmony(satisfaction: NDArray[np.floating]) -> float:
    """1 less the mean absolute difference over pairs of the m members; 1 for one member."""
    m = len(satisfaction)
    if m < 2:
        return 1.0
    differences = np.abs(satisfaction[:, None] - satisfaction[None])
    return 1.0 - float(differences.sum() / (m * (m - 1)))


def satisfaction_metrics(
    scorer: GroupScorer, judge: Judge, pools: Sequence[tuple[int, NDArray[np.int64]]], *, k: int = K
) -> dict[str, float]:
    """Means over groups of how the members like the `k` best of a pool of tracks, given as (group row, tracks (c,))."""
    values = []
    for group, tracks in pools:
        scores = np.asarray(scorer(group, tracks), np.float64)
        satisfaction = member_satisfaction(judge(group, tracks), np.argsort(-scores, kind="stable")[:k])
        values.append((satisfaction.mean(), harmony(satisfaction), satisfaction.min()))
    means = np.asarray(values).mean(axis=0).tolist()
    return dict(zip(("satisfaction", "harmony", "min_satisfaction"), means, strict=True))
