"""Boosted trees: rows of a table and their classes go in, a score for each class comes out.

scikit-learn grows them (gradient boosting over histograms, Friedman 2001, Ke et al. 2017). What they are is kept as
arrays, so that they go to disk and into a graph without it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

LEARNING_RATE: Final = 0.05
LEAVES: Final = 31
LEAST_A_LEAF: Final = 60
COLUMNS_A_SPLIT: Final = 0.3
DEEPEST: Final = 8
"""Shape of the trees. Many rows a leaf and few columns a split make them differ more, and the sum of them steadier."""

_ROWS_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """Trees over f columns for c classes, all nodes in one list.

    From node i one goes to `child[i]`, or to the node after that where column `feature[i]` is above `threshold[i]`. A
    leaf leads to itself. `value[i]` is what a leaf adds to the score of its class.

    roots     int64 (rounds, c), a tree a class in each round
    baseline  float32 (c,) scores before the first round
    fill      float32 (f,) what stands for an unknown value
    depth     steps after which every row has come to a leaf
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    child: NDArray[np.int64]
    value: NDArray[np.float32]
    roots: NDArray[np.int64]
    baseline: NDArray[np.float32]
    fill: NDArray[np.float32]
    depth: int

    @classmethod
    def fit(
        cls, x: NDArray[np.floating], labels: NDArray[np.integer], n_classes: int, *, rounds: int, seed: int
    ) -> BoostedTrees:
        """Fit on `x` (n, f), NaN where unknown, with at least one row of each class."""
        values = x.astype(np.float32)
        known = ~np.isnan(values)
        fill = np.asarray(
            [np.median(column[there]) if there.any() else 0.0 for column, there in zip(values.T, known.T, strict=True)],
            np.float32,
        )
        grown = HistGradientBoostingClassifier(
            learning_rate=LEARNING_RATE,
            max_iter=rounds,
            max_leaf_nodes=LEAVES,
            max_depth=DEEPEST,
            min_samples_leaf=LEAST_A_LEAF,
            max_features=COLUMNS_A_SPLIT,
            early_stopping=False,
            random_state=seed,
        ).fit(np.where(known, values, fill), labels)
        # With two classes there is one tree a round, whose score tells them apart: half of it for each, in both signs.
        signs = (1.0,) * n_classes if n_classes > 2 else (-0.5, 0.5)
        trees = [
            (tree.nodes, sign)
            for grown_at_once in grown._predictors
            for tree, sign in zip(grown_at_once * (len(signs) // len(grown_at_once)), signs, strict=True)
        ]
        sizes = [len(nodes) for nodes, _ in trees]
        starts = np.cumsum([0, *sizes[:-1]])
        parts = [_nodes(nodes, start, sign) for (nodes, sign), start in zip(trees, starts.tolist(), strict=True)]
        feature, threshold, child, value = (np.concatenate(column) for column in zip(*parts, strict=True))
        return cls(
            feature,
            threshold,
            child,
            value,
            starts.reshape(-1, n_classes).astype(np.int64),
            (np.ravel(grown._baseline_prediction) * np.asarray(signs)).astype(np.float32),
            fill,
            max(int(nodes["depth"].max()) for nodes, _ in trees),
        )

    def scores(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """float64 (n, c): logarithms of the classes' probabilities, up to a constant."""
        values = np.where(np.isnan(x), self.fill, x).astype(np.float32)
        parts = [self._scores(values[start : start + _ROWS_AT_ONCE]) for start in range(0, len(x), _ROWS_AT_ONCE)]
        return np.concatenate([np.zeros((0, len(self.baseline))), *parts])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> BoostedTrees:
        """What `arrays` gave. Raises KeyError where one is missing."""
        columns = {field.name: arrays[field.name] for field in fields(cls) if field.name != "depth"}
        return cls(**columns, depth=int(arrays["depth"]))

    def _scores(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        rows = np.arange(len(values))[:, None]
        at = np.broadcast_to(self.roots.ravel(), (len(values), self.roots.size))
        for _ in range(self.depth):
            at = self.child[at] + (values[rows, self.feature[at]] > self.threshold[at])
        reached = self.value[at].reshape(len(values), *self.roots.shape)
        result: NDArray[np.float64] = reached.sum(axis=1, dtype=np.float64) + self.baseline
        return result


def _nodes(
    nodes: NDArray[Any], start: int, sign: float
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Features, thresholds, children and values of one tree's nodes, numbered so that siblings stand together."""
    inner = ~nodes["is_leaf"].astype(np.bool_)
    number = np.zeros(len(nodes), np.int64)
    first = 1 + 2 * np.arange(int(inner.sum()))
    number[nodes["left"][inner]], number[nodes["right"][inner]] = first, first + 1
    feature, child = np.zeros(len(nodes), np.int64), start + np.arange(len(nodes))
    threshold, value = np.full(len(nodes), np.inf, np.float32), np.zeros(len(nodes), np.float32)
    feature[number[inner]], child[number[inner]] = nodes["feature_idx"][inner], start + first
    threshold[number[inner]] = _rounded_down(nodes["num_threshold"][inner])
    value[number[~inner]] = sign * nodes["value"][~inner]
    return feature, threshold, child, value


def _rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above: a float32 is above one of them exactly if it is above the other."""
    nearest = values.astype(np.float32)
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)
