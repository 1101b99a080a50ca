"""Assessment of one model: a scorer and a holdout go in, ranks, lists and confidences of one pass come out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation import metrics
from audotics.evaluation.bias import Group, by_property
from audotics.evaluation.calibration import ReliabilityBin, reliability
from audotics.evaluation.lists import Catalogue, Lists, top_lists
from audotics.evaluation.ranking import BATCH_USERS, NO_TRACK, Holdout, OnBatch, Scorer, close, target_ranks

CONFIDENT = 20
"""Length of the lists over which confidences are measured, as in training."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """How a model did with m listeners.

    `ranks` (m,) of the held-out tracks, `lists` (m, k), and, of a model that has them, the `confidences` (t,) in all
    tracks that stand among the first CONFIDENT of a list, with `hits` (t,): 1 for a held-out one, else 0.
    """

    ranks: NDArray[np.float64]
    lists: Lists
    confidences: NDArray[np.float64] | None
    hits: NDArray[np.float64] | None

    def ndcg(self, k: int) -> NDArray[np.float64]:
        """(m,)."""
        return metrics.ndcg(self.ranks, k)

    def metrics(self, k: int, catalogue: Catalogue) -> dict[str, float]:
        """Means over listeners, HR and NDCG first, then what the lists are like, and ECE where there is confidence."""
        ranks = self.ranks
        found = {
            f"hr@{k}": float(metrics.hit_rate(ranks, k).mean()),
            f"ndcg@{k}": float(metrics.ndcg(ranks, k).mean()),
            f"precision@{k}": float(metrics.precision(ranks, k).mean()),
            f"recall@{k}": float(metrics.recall(ranks, k).mean()),
            f"map@{k}": float(metrics.average_precision(ranks, k).mean()),
            f"mrr@{k}": float(metrics.reciprocal_rank(ranks, k).mean()),
        } | catalogue.metrics(self.lists, k)
        if self.confidences is not None and self.hits is not None:
            found["ece"] = metrics.expected_calibration_error(self.confidences, self.hits)
        return found

    def reliability(self) -> list[ReliabilityBin]:
        """The curve of the confidences; nothing for a model without."""
        if self.confidences is None or self.hits is None:
            return []
        return reliability(self.confidences, self.hits)

    def bias(self, k: int, holdout: Holdout, plays: NDArray[np.floating]) -> dict[str, list[Group]]:
        """NDCG by how much a listener has heard, and by how much the held-out track was played in training."""
        gains = self.ndcg(k)
        return {
            "activity": by_property(gains, np.asarray([len(history) for history in holdout.histories])),
            "popularity": by_property(gains, plays[holdout.targets]),
        }


def assess(scorer: Scorer, holdout: Holdout, *, k: int, on_batch: OnBatch = lambda done: None) -> Assessment:
    """Rank all tracks for each listener once. A scorer with a method `with_confidence` is asked for both."""
    with_confidence = getattr(scorer, "with_confidence", None)
    ranks, lists, confidences, hits = [], [], [], []
    for start in range(0, len(holdout.targets), BATCH_USERS):
        histories = holdout.histories[start : start + BATCH_USERS]
        targets = holdout.targets[start : start + BATCH_USERS]
        raw, confidence = with_confidence(histories) if with_confidence else (scorer(histories), None)
        scores = close(raw, histories)
        ranks.append(target_ranks(scores, targets))
        best = top_lists(scores, k if confidence is None else max(k, CONFIDENT))
        lists.append(best[:, :k])
        if confidence is not None:
            rows, places = np.nonzero(best[:, :CONFIDENT] != NO_TRACK)
            shown = best[rows, places]
            confidences.append(confidence[rows, shown].astype(np.float64))
            hits.append((shown == targets[rows]).astype(np.float64))
        on_batch(len(histories))
    return Assessment(
        np.concatenate(ranks),
        np.concatenate(lists),
        np.concatenate(confidences) if confidences else None,
        np.concatenate(hits) if hits else None,
    )
