"""Full ranking: every track of the catalogue competes with the held-out one of each listener."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.metrics import hit_rate, ndcg

Histories = Sequence[NDArray[np.int32]]
Scorer = Callable[[Histories], NDArray[np.float32]]
"""Scores all n tracks for b listeners, given by what they heard: float32 (b, n), higher is better."""

BATCH_USERS = 256


def full_ranking(
    scorer: Scorer,
    histories: Histories,
    targets: NDArray[np.integer],
    *,
    on_batch: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float64]:
    """Rank of each target among the tracks that its listener has not heard, from 0, float64 (m,).

    A tie counts half, so that a constant scorer gets the middle rank and not the first. Scores that are NaN or
    infinite are an error: ValueError.
    """
    ranks = np.empty(len(targets), np.float64)
    for start in range(0, len(targets), BATCH_USERS):
        batch = histories[start : start + BATCH_USERS]
        scores = np.array(scorer(batch), np.float64)
        if not np.isfinite(scores).all():
            raise ValueError("a scorer returned NaN or infinite scores")
        rows = np.arange(len(batch))
        wanted = scores[rows, targets[start : start + len(batch)]]
        lengths = [len(history) for history in batch]
        scores[np.repeat(rows, lengths), np.concatenate(batch) if batch else []] = -np.inf
        better = (scores > wanted[:, None]).sum(axis=1)
        equal = (scores == wanted[:, None]).sum(axis=1) - 1
        ranks[start : start + len(batch)] = better + equal / 2
        on_batch(len(batch))
    return ranks


def summary(ranks: NDArray[np.float64], *, k: int = 10) -> dict[str, float]:
    """Means over listeners: {"hr@k": …, "ndcg@k": …}."""
    return {f"hr@{k}": float(hit_rate(ranks, k).mean()), f"ndcg@{k}": float(ndcg(ranks, k).mean())}


@dataclass(frozen=True, slots=True)
class Holdout:
    """One held-out track for each of m listeners, with what they heard besides it."""

    histories: Histories
    targets: NDArray[np.int32]

    def evaluate(self, scorer: Scorer, *, on_batch: Callable[[int], None] = lambda done: None) -> dict[str, float]:
        """`summary` of the full ranking."""
        return summary(full_ranking(scorer, self.histories, self.targets, on_batch=on_batch))

    def sample(self, size: int, *, seed: int) -> Holdout:
        """At most `size` of the listeners, drawn without replacement."""
        if len(self.targets) <= size:
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self.targets), size, replace=False))
        return Holdout([self.histories[index] for index in chosen], self.targets[chosen])
