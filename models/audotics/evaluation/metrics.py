"""Ranking metrics of held-out tracks: 0-based ranks go in, one number a listener comes out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hit_rate(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """1 where the held-out track stands among the first `k`, else 0. `ranks` (n,) counts from 0."""
    return (ranks < k).astype(np.float64)


def ndcg(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain of one relevant track: 1 / log2(rank + 2) in the first `k`, else 0."""
    return np.where(ranks < k, 1.0 / np.log2(ranks + 2.0), 0.0)


def expected_calibration_error(
    probabilities: NDArray[np.floating], outcomes: NDArray[np.floating], *, bins: int = 15
) -> float:
    """Weighted mean gap between predicted and observed frequency over equally filled bins (Nguyen & O'Connor 2015).

    `probabilities` in 0..1 and `outcomes` in {0, 1} have shape (n,).
    """
    order = np.argsort(probabilities, kind="stable")
    gaps = [
        len(chunk) * abs(float(probabilities[chunk].mean()) - float(outcomes[chunk].mean()))
        for chunk in np.array_split(order, bins)
        if len(chunk)
    ]
    return sum(gaps) / max(len(order), 1)
