"""Rankings: a scorer and listeners with held-out tracks go in, the places of those tracks come out.

Every track of the catalogue competes, or those that a protocol names. Candidates that tie stand in a random order, and
a rank is what it is on average: so a constant scorer gets the middle rank and not the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.metrics import hit_rate, ndcg

Histories = Sequence[NDArray[np.int32]]
Scorer = Callable[[Histories], NDArray[np.float32]]
"""Scores all n tracks for b listeners, given by what they heard: float32 (b, n), higher is better."""

BATCH_USERS = 256

NO_TRACK = -1
"""Fills the places of `negatives` that hold no track."""

OnBatch = Callable[[int], None]


def full_ranking(
    scorer: Scorer, histories: Histories, targets: NDArray[np.integer], *, on_batch: OnBatch = lambda done: None
) -> NDArray[np.float64]:
    """Rank of each target among the tracks that its listener has not heard, from 0, float64 (m,).

    A tie counts half. Scores that are NaN or infinite, and targets that their listener has heard, are an error:
    ValueError.
    """
    ranks = np.empty(len(targets), np.float64)
    for start, scores in open_scores(scorer, histories):
        end = start + len(scores)
        ranks[start:end] = target_ranks(scores, targets[start:end])
        on_batch(len(scores))
    return ranks


def set_ranking(
    scorer: Scorer,
    histories: Histories,
    relevant: Sequence[NDArray[np.integer]],
    *,
    among: NDArray[np.bool_] | None = None,
    on_batch: OnBatch = lambda done: None,
) -> NDArray[np.float64]:
    """Ranks of several relevant tracks a listener among those not heard, float64 (m, r) as `metrics` takes them.

    `among` bool (n,) says which tracks compete, if not all. Where a of the relevant tracks tie with b others, the j-th
    of them stands (j + 1)(a + b + 1)/(a + 1) - 1 places behind the first of the tie, counted from 0: its mean place in
    a random order. Raises ValueError as `full_ranking` does.
    """
    ranks = np.full((len(histories), max([1, *map(len, relevant)])), np.inf)
    for start, scores in open_scores(scorer, histories, among=among):
        for offset, row in enumerate(scores):
            wanted = relevant[start + offset]
            ranks[start + offset, : len(wanted)] = _row_ranks(row, wanted)
        on_batch(len(scores))
    return ranks


def sampled_ranking(
    scorer: Scorer,
    histories: Histories,
    targets: NDArray[np.integer],
    negatives: NDArray[np.integer],
    *,
    on_batch: OnBatch = lambda done: None,
) -> NDArray[np.float64]:
    """Rank of each target among its listener's `negatives` (m, w), from 0, float64 (m,); a tie counts half.

    Places with NO_TRACK are empty, and a negative that is the target itself does not count. Such ranks flatter weak
    models (Krichene & Rendle 2020); they are for comparison with papers that used them.
    """
    ranks = np.empty(len(targets), np.float64)
    for start in range(0, len(targets), BATCH_USERS):
        batch = slice(start, min(start + BATCH_USERS, len(targets)))
        scores = _checked(scorer(histories[batch]))
        rivals = (negatives[batch] != NO_TRACK) & (negatives[batch] != targets[batch, None])
        theirs = np.take_along_axis(scores, np.where(rivals, negatives[batch], 0), axis=1)
        own = np.take_along_axis(scores, targets[batch, None], axis=1)
        ranks[batch] = ((theirs > own) & rivals).sum(axis=1) + ((theirs == own) & rivals).sum(axis=1) / 2
        on_batch(len(scores))
    return ranks


def open_scores(
    scorer: Scorer, histories: Histories, *, among: NDArray[np.bool_] | None = None
) -> Iterator[tuple[int, NDArray[np.floating]]]:
    """Yield the first listener's number and the scores (b, n) of each batch, -inf for tracks that do not compete.

    Those are the tracks heard, and the ones that are not `among` the candidates.
    """
    for start in range(0, len(histories), BATCH_USERS):
        batch = histories[start : start + BATCH_USERS]
        yield start, close(scorer(batch), batch, among=among)


def close(
    scores: NDArray[np.floating], histories: Histories, *, among: NDArray[np.bool_] | None = None
) -> NDArray[np.floating]:
    """A copy of `scores` (b, n) with -inf in place of what does not compete. Raises ValueError on NaN and infinity."""
    scores = _checked(scores).copy()
    lengths = [len(history) for history in histories]
    scores[np.repeat(np.arange(len(histories)), lengths), np.concatenate(histories) if len(histories) else []] = -np.inf
    if among is not None:
        scores[:, ~among] = -np.inf
    return scores


def target_ranks(scores: NDArray[np.floating], targets: NDArray[np.integer]) -> NDArray[np.float64]:
    """Rank of one target a row of `scores` (b, n), where -inf says that a track does not compete; a tie counts half."""
    wanted = scores[np.arange(len(scores)), targets]
    if not np.isfinite(wanted).all():
        raise ValueError("a held-out track is among those that the listener has heard, or no candidate")
    better = (scores > wanted[:, None]).sum(axis=1)
    equal = (scores == wanted[:, None]).sum(axis=1) - 1
    return np.asarray(better + equal / 2, np.float64)


def _row_ranks(scores: NDArray[np.floating], wanted: NDArray[np.integer]) -> NDArray[np.float64]:
    """Ranks of the tracks `wanted` in one row of scores, best first."""
    own = scores[wanted]
    if not np.isfinite(own).all():
        raise ValueError("a held-out track is among those that the listener has heard, or no candidate")
    values, members = np.unique(-own, return_counts=True)  # best first
    ordered = np.sort(-scores)
    better = np.searchsorted(ordered, values, side="left")
    tied = np.searchsorted(ordered, values, side="right") - better
    place = np.arange(len(own)) - np.repeat(np.cumsum(members) - members, members)
    steps = np.repeat((tied + 1) / (members + 1), members)
    return np.asarray(np.repeat(better, members) + (place + 1) * steps - 1, np.float64)


def _checked(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    scores = np.asarray(scores)
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("a scorer returned NaN or infinite scores")
    return scores


def summary(ranks: NDArray[np.float64], *, k: int = 10) -> dict[str, float]:
    """Means over listeners: {"hr@k": …, "ndcg@k": …}."""
    return {f"hr@{k}": float(hit_rate(ranks, k).mean()), f"ndcg@{k}": float(ndcg(ranks, k).mean())}


@dataclass(frozen=True, slots=True)
class Holdout:
    """One held-out track for each of m listeners, with what they heard besides it."""

    histories: Histories
    targets: NDArray[np.int32]

    def evaluate(self, scorer: Scorer, *, on_batch: OnBatch = lambda done: None) -> dict[str, float]:
        """`summary` of the full ranking."""
        return summary(full_ranking(scorer, self.histories, self.targets, on_batch=on_batch))

    def sample(self, size: int, *, seed: int) -> Holdout:
        """At most `size` of the listeners, drawn without replacement."""
        if len(self.targets) <= size:
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self.targets), size, replace=False))
        return Holdout([self.histories[index] for index in chosen], self.targets[chosen])
