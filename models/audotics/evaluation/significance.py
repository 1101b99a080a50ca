"""Paired bootstrap: per-listener values of several models go in, means and ratios with their intervals come out.

Listeners are drawn with replacement, the same ones for all models, so that what makes a listener easy or hard for
everybody falls out of a comparison (Efron & Tibshirani 1993, chapters 8 and 13: the percentile interval).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from audotics.features.interval import Interval

RESAMPLES = 2_000
LEVEL = 0.95
_DRAWN_AT_ONCE = 2_000_000
"""Listeners in one piece of work; bounds its memory to about 50 MB."""


def mean_intervals(
    values: Mapping[str, NDArray[np.float64]], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[str, Interval]:
    """The mean of each model's values (m,), which stand in the same order of listeners."""
    means = _resampled_means(values, resamples=resamples, seed=seed)
    return {name: _interval(float(values[name].mean()), means[:, column], level) for column, name in enumerate(values)}


def paired_ratios(
    values: Mapping[str, NDArray[np.float64]],
    *,
    baseline: str,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """The mean of each other model's values (m,) over that of `baseline`; nothing where the baseline's mean is 0.

    A resample in which the baseline has nothing but zeros has no ratio and does not count.
    """
    reference = float(values[baseline].mean())
    if reference <= 0:
        return {}
    means = dict(zip(values, _resampled_means(values, resamples=resamples, seed=seed).T, strict=True))
    usable = means[baseline] > 0
    return {
        name: _interval(float(values[name].mean()) / reference, means[name][usable] / means[baseline][usable], level)
        for name in values
        if name != baseline
    }


def _resampled_means(values: Mapping[str, NDArray[np.float64]], *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Means (resamples, models) over listeners drawn with replacement."""
    matrix = np.stack(list(values.values()), axis=1)
    m = len(matrix)
    if not m:
        raise ValueError("there are no listeners to draw from")
    rng = np.random.default_rng(seed)
    step = max(1, _DRAWN_AT_ONCE // m)
    parts = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, m, (size, m)) + np.arange(size)[:, None] * m
        times = np.bincount(drawn.ravel(), minlength=size * m).reshape(size, m)
        parts.append(times @ matrix / m)
    return np.concatenate(parts)


def _interval(estimate: float, resampled: NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))
