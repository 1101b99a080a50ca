"""Choice of the genre classifier's settings: labelled tracks go in, options that did best on their folds come out.

Each expert is fitted once a fold and setting, and every combination is judged by the log loss of its best pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from audotics.data.labelled import LabelledTracks
from audotics.evaluation.classification import Fold, stratified_folds
from audotics.models.gaussians import Gaussians, whitening
from audotics.models.genre import GenreOptions, pooled
from audotics.models.kernel_machine import KernelMachine
from audotics.models.preprocessing import Preprocessing
from audotics.training.classifiers import inner_folds
from audotics.training.progress import Progress

KEPT_SHARES: Final = ((1.0, 1.0), (0.8, 1.0), (1.0, 0.8))
"""Shares of columns that are selected, and of components that are kept, which are tried."""

WHITENINGS: Final = (0.1, 0.3)
WIDTHS: Final = (1.0, 2.0)
RIDGES: Final = (0.1, 0.3)
SHRINKAGES: Final = (0.4, 0.6, 0.8)

SEARCH_TRACKS: Final = 2_000
"""More tracks than these are not needed to tell settings apart; the rest still trains."""

LEAST_A_CLASS: Final = 20


def choose(data: LabelledTracks, options: GenreOptions, *, seed: int, progress: Progress) -> GenreOptions:
    """First what preprocessing keeps, by the settings given; then the settings of the experts, all combinations."""
    sample = search_sample(data, seed=seed)
    folds = stratified_folds(sample, folds=inner_folds(sample), seed=seed + 1)
    n_features = len(data.feature_names)
    kept = [
        replace(options, selected=round(columns * n_features), components=round(share * columns * n_features))
        for columns, share in KEPT_SHARES
    ]
    with progress.stage("genre: choice of settings", len(kept) + 1) as stage:

        def best(variants: Sequence[GenreOptions], losses: Sequence[float]) -> GenreOptions:
            stage.advance(0, f"log loss {min(losses):.4f}")
            return variants[int(np.argmin(losses))]

        losses = []
        for variant in kept:
            losses.append(_Scores(sample, folds, variant, seed).log_loss(variant))
            stage.advance(1)
        options = best(kept, losses)
        scores = _Scores(sample, folds, options, seed)
        variants = [
            replace(options, whitening=white, width=width, ridge=ridge, shrinkage=shrinkage)
            for white, width, ridge, shrinkage in product(WHITENINGS, WIDTHS, RIDGES, SHRINKAGES)
        ]
        options = best(variants, [scores.log_loss(variant) for variant in variants])
        stage.advance(1)
    return options


def search_sample(data: LabelledTracks, *, seed: int) -> LabelledTracks:
    """About SEARCH_TRACKS tracks at most, the same share of each class, but no fewer than LEAST_A_CLASS of any."""
    if len(data) <= SEARCH_TRACKS:
        return data
    order = np.random.default_rng(seed).permutation(len(data))
    shares = np.ceil(np.bincount(data.labels) * SEARCH_TRACKS / len(data)).astype(np.int64)
    chosen = [
        order[data.labels[order] == label][: max(share, LEAST_A_CLASS)] for label, share in enumerate(shares.tolist())
    ]
    return data.take(np.sort(np.concatenate(chosen)))


class _Scores:
    """Scores of experts on the folds they were not fitted on, for one preprocessing; each expert is fitted once."""

    def __init__(self, data: LabelledTracks, folds: Sequence[Fold], options: GenreOptions, seed: int) -> None:
        self.data, self.folds, self.seed = data, folds, seed
        self.known: dict[tuple[Any, ...], NDArray[np.float64]] = {}
        self.preprocessed: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        for fold in folds:
            preprocessing = preprocess(data.take(fold.train), options)
            train, test = (points_of(preprocessing, data.x[rows]) for rows in (fold.train, fold.test))
            self.preprocessed.append((train, test))

    def log_loss(self, options: GenreOptions) -> float:
        """Of the best pool; `options` are of the preprocessing that this was made with."""
        whitened = self._machine(options, options.whitening)
        scores = np.stack([self._machine(options, None), whitened, self._gaussians(options)])
        return fit_pool(scores, self.data.labels)[1]

    def _machine(self, options: GenreOptions, white: float | None) -> NDArray[np.float64]:
        if ("machine", white, options.width, options.ridge) not in self.known:
            ridges = tuple(sorted({*RIDGES, options.ridge}))
            found = {ridge: self._empty() for ridge in ridges}
            for fold, (train, test) in zip(self.folds, self._spaces(white), strict=True):
                machines = KernelMachine.fit_ridges(
                    train,
                    self.data.labels[fold.train],
                    len(self.data.class_names),
                    gamma=options.width / train.shape[1],
                    ridges=ridges,
                    max_anchors=options.anchors,
                    seed=self.seed,
                )
                for ridge, machine in zip(ridges, machines, strict=True):
                    found[ridge][fold.test] = machine.scores(test)
            self.known |= {("machine", white, options.width, ridge): scores for ridge, scores in found.items()}
        return self.known["machine", white, options.width, options.ridge]

    def _gaussians(self, options: GenreOptions) -> NDArray[np.float64]:
        key = ("gaussians", options.whitening, options.shrinkage)
        if key not in self.known:
            scores = self._empty()
            for fold, (train, test) in zip(self.folds, self._spaces(options.whitening), strict=True):
                labels = self.data.labels[fold.train]
                fitted = Gaussians.fit(train, labels, len(self.data.class_names), shrinkage=options.shrinkage)
                scores[fold.test] = fitted.scores(test)
            self.known[key] = scores
        return self.known[key]

    def _spaces(self, white: float | None) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        if white is None:
            return self.preprocessed
        spaces = []
        for fold, (train, test) in zip(self.folds, self.preprocessed, strict=True):
            matrix = whitening(train, self.data.labels[fold.train], shrinkage=white)
            spaces.append((train @ matrix, test @ matrix))
        return spaces

    def _empty(self) -> NDArray[np.float64]:
        return np.zeros((len(self.data), len(self.data.class_names)))


def fit_pool(scores: NDArray[np.float64], labels: NDArray[np.integer]) -> tuple[NDArray[np.float64], float]:
    """Weights (e,) >= 0 of experts' scores (e, n, c) with the least log loss, convex in them; and that loss."""
    rows = np.arange(len(labels))
    scale = np.maximum(scores.std(axis=(1, 2)), 1e-12)
    scaled = scores / scale[:, None, None]
    own = scaled[:, rows, labels]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_probabilities = log_softmax(pooled(scaled, weights), axis=1)
        expected = np.einsum("enc,nc->en", scaled, np.exp(log_probabilities))
        return float(-log_probabilities[rows, labels].mean()), (expected - own).mean(axis=1)

    result = minimize(loss, np.ones(len(scores)), jac=True, bounds=[(0.0, None)] * len(scores), method="L-BFGS-B")
    return result.x / scale, float(result.fun)


def preprocess(data: LabelledTracks, options: GenreOptions) -> Preprocessing:
    return Preprocessing.fit(
        data.x, data.labels, selected=options.selected or None, components=options.components or None
    )


def points_of(preprocessing: Preprocessing, x: NDArray[np.floating]) -> NDArray[np.float64]:
    return preprocessing.transform(x).astype(np.float64)
