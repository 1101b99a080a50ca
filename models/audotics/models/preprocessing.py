"""scikit-learn preprocessing: a table of numbers with holes goes in, selected and decorrelated columns come out.

    logarithm of heavy-tailed columns, mean for what is unknown → StandardScaler → SelectKBest → PCA

A variance or a share that is positive in all of the training data, and less skewed as a logarithm, is taken as one: a
few huge values would otherwise make up the whole scale of their column. What is fitted is kept as arrays, and the
pipeline is put together from them again, so that no pickle is ever written or read.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

PREPROCESSING_FILE: Final = "preprocessing.npz"

_NO_SPREAD: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What was fitted on f columns, of which k are selected and turned into p components.

    fill        (f,) the mean of the known values, after the logarithm
    floor       (f,) the smallest value of the training data where the logarithm is taken, NaN elsewhere
    mean, scale (f,) of the StandardScaler
    selected    (k,) columns that SelectKBest keeps, in increasing order
    centre      (k,) and components (p, k) of the PCA
    """

    fill: NDArray[np.float64]
    floor: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    selected: NDArray[np.int64]
    centre: NDArray[np.float64]
    components: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        x: NDArray[np.floating],
        target: NDArray[Any],
        *,
        selected: int | None = None,
        components: int | None = None,
    ) -> Preprocessing:
        """Fit on `x` (n, f), NaN where unknown, keeping the `selected` columns that say most about `target` (n,).

        They are ranked by ANOVA's F for classes (integers), by the F of the correlation for numbers. None keeps all
        columns or components; more than there are is all. Constant columns come last. Raises ValueError without rows.
        """
        values = np.asarray(x, np.float64)
        if not len(values):
            raise ValueError("preprocessing cannot be fitted without rows")
        floor = _floors(values)
        values = _with_logarithms(values, floor)
        known = ~np.isnan(values)
        fill = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        values = np.where(known, values, fill)
        scaler = StandardScaler().fit(values)
        values = scaler.transform(values)
        chosen = _best_columns(values, target, selected)
        kept = values[:, chosen]
        size = min(components or kept.shape[1], *kept.shape)
        pca = PCA(size, svd_solver="full").fit(kept)
        return cls(fill, floor, scaler.mean_, scaler.scale_, chosen, pca.mean_, pca.components_)

    @property
    def n_features(self) -> int:
        return len(self.fill)

    @property
    def n_components(self) -> int:
        return len(self.components)

    def completed(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """float64 (n, f): logarithms taken and holes filled, as the pipeline expects it."""
        values = _with_logarithms(np.asarray(x, np.float64), self.floor)
        return np.where(np.isnan(values), self.fill, values)

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32 (n, p) from (n, f), NaN where unknown."""
        standardised = ((self.completed(x) - self.mean) / self.scale)[:, self.selected]
        return ((standardised - self.centre) @ self.components.T).astype(np.float32)

    def pipeline(self) -> Pipeline:
        """The fitted scikit-learn pipeline StandardScaler → SelectKBest → PCA, over `completed` columns."""
        scaler = StandardScaler()
        scaler.mean_, scaler.scale_, scaler.var_ = self.mean, self.scale, self.scale**2
        scaler.n_features_in_ = self.n_features
        selector = SelectKBest(k=len(self.selected))
        selector.scores_ = np.zeros(self.n_features)
        selector.scores_[self.selected] = 1.0
        selector.n_features_in_ = self.n_features
        pca = PCA(self.n_components)
        pca.mean_, pca.components_ = self.centre, self.components
        pca.explained_variance_ = np.ones(self.n_components)
        pca.n_components_, pca.n_features_in_ = self.n_components, len(self.selected)
        return Pipeline([("scale", scaler), ("select", selector), ("project", pca)])

    def save(self, folder: Path) -> None:
        np.savez(folder / PREPROCESSING_FILE, allow_pickle=False, **self.arrays())

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def load(cls, folder: Path) -> Preprocessing:
        """Raises OSError or ValueError when the file is missing or damaged."""
        path = folder / PREPROCESSING_FILE
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (KeyError, EOFError, BadZipFile) as error:
            raise ValueError(f"{path}: is not a whole file of preprocessing; train again") from error


def _floors(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest known value of each column that is better taken as a logarithm, NaN for the others."""
    floors = np.full(values.shape[1], np.nan)
    for column, whole in enumerate(values.T):
        known = whole[~np.isnan(whole)]
        if len(known) and known.min() > 0 and np.ptp(known) > 0 and _skew(np.log(known)) < _skew(known):
            floors[column] = known.min()
    return floors


def _skew(values: NDArray[np.float64]) -> float:
    """The size of the third standardised moment."""
    centred = values - values.mean()
    spread = float(np.sqrt((centred**2).mean()))
    return abs(float((centred**3).mean())) / spread**3 if spread > _NO_SPREAD else 0.0


def _with_logarithms(values: NDArray[np.float64], floor: NDArray[np.float64]) -> NDArray[np.float64]:
    logged = ~np.isnan(floor)
    result = values.copy()
    result[:, logged] = np.log(np.maximum(values[:, logged], floor[logged]))
    return result


def _best_columns(values: NDArray[np.float64], target: NDArray[Any], selected: int | None) -> NDArray[np.int64]:
    n_features = values.shape[1]
    if selected is None or selected >= n_features:
        return np.arange(n_features)
    varied = np.ptp(values, axis=0) > _NO_SPREAD
    scores = np.full(n_features, -1.0)
    score = f_classif if np.issubdtype(np.asarray(target).dtype, np.integer) else f_regression
    if varied.any() and np.ptp(target):
        selector = SelectKBest(score, k="all").fit(values[:, varied], target)
        scores[varied] = np.nan_to_num(selector.scores_, nan=0.0)
    return np.sort(np.argsort(-scores, kind="stable")[: max(1, selected)])
