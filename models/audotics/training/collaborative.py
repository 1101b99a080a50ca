"""Choice and fit of the collaborative factors: a split goes in, the best model of a small search comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import sparse

from audotics.evaluation.baselines import history_matrix
from audotics.features.tracks import TrackColumns
from audotics.models.collaborative import (
    DENSE_TRACKS,
    CollaborativeModel,
    CollaborativeOptions,
    assemble,
    decompose,
)
from audotics.training.progress import Progress
from audotics.training.run import Split

RANKS = (256, 512, 1024, 2048)
LARGE_CATALOGUE_RANK = 128
"""Highest rank beyond DENSE_TRACKS tracks, where a dimension costs time in each search and memory for each track."""

SIDE_INFORMATION = ((0.0, 0.0), (0.3, 0.0), (0.0, 1.0), (0.3, 1.0))
"""Pairs of user exponent and tag weight that are tried."""

STRENGTHS = tuple(product((1.0, 2.0, 4.0), (0.25, 0.5, 0.75, 1.0)))
"""Pairs of λ and item exponent that are tried."""

VALIDATION_LISTENERS = 4_000


@dataclass(frozen=True, slots=True)
class CollaborativeFit:
    """The chosen options with the model fitted without (`selection`) and with (`final`) the validation tracks."""

    options: CollaborativeOptions
    selection: CollaborativeModel
    final: CollaborativeModel
    score: float


def train_collaborative(
    split: Split, options: CollaborativeOptions, *, search: bool, seed: int, progress: Progress
) -> CollaborativeFit:
    """Fit the factors; with `search`, first choose every option but the rank's upper bound by validation NDCG@10.

    The search goes one step at a time: side information, then λ with the item exponent, then the rank.
    """
    n_tracks = len(split.tracks)
    fitting, training = history_matrix(split.fitting, n_tracks), history_matrix(split.training, n_tracks)
    holdout = split.validation.sample(VALIDATION_LISTENERS, seed=seed)
    highest = min(options.rank, n_tracks if n_tracks <= DENSE_TRACKS else LARGE_CATALOGUE_RANK)
    ranks = sorted({rank for rank in RANKS if rank < highest} | {highest})
    side = [pair for pair in SIDE_INFORMATION if len(split.tracks.tags.codes) or not pair[1]] if search else []
    strengths = STRENGTHS if search else ()
    with progress.stage("collaborative", len(side) + len(strengths) + len(ranks) * search + 2) as stage:

        def score(model: CollaborativeModel) -> float:
            value = holdout.evaluate(model.scores)["ndcg@10"]
            stage.advance(1, f"validation {value:.4f}")
            return value

        if search:
            candidates = [
                replace(options, rank=ranks[-1], user_exponent=exponent, tag_weight=weight) for exponent, weight in side
            ]
            spectra = [decompose(fitting, split.tracks, candidate) for candidate in candidates]
            best = int(np.argmax([score(assemble(*pair)) for pair in zip(spectra, candidates, strict=True)]))
            spectrum, options = spectra[best], candidates[best]
            del spectra
            variants = [replace(options, l2=l2, item_exponent=exponent) for l2, exponent in strengths]
            options = variants[int(np.argmax([score(assemble(spectrum, variant)) for variant in variants]))]
            variants = [replace(options, rank=rank) for rank in ranks]
            options = variants[int(np.argmax([score(assemble(spectrum, variant)) for variant in variants]))]
        selection = _fit(fitting, split.tracks, options)
        value = score(selection)
        final = _fit(training, split.tracks, options)
        stage.advance(1, f"validation {value:.4f}")
    return CollaborativeFit(final.options, selection, final, value)


def _fit(matrix: sparse.csr_matrix, tracks: TrackColumns, options: CollaborativeOptions) -> CollaborativeModel:
    return assemble(decompose(matrix, tracks, options), options)
