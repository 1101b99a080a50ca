"""Choice and fit of the collaborative factors: a split goes in, the best model of a small search comes out.

Beyond DENSE_TRACKS tracks the Gram matrix is no longer decomposed whole. There the spectrum cut to its largest values
competes with factored neighbours, and the one that finds the validation tracks better is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, product

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
from audotics.models.factored_neighbours import factor_neighbours, options_of_neighbours
from audotics.models.neighbours import find_nearest, fit_neighbours, invert, weigh
from audotics.training.progress import Progress
from audotics.training.run import Split

RANKS = (256, 512, 1024, 2048)
LARGE_CATALOGUE_RANK = 256
"""Highest rank beyond DENSE_TRACKS tracks, where a dimension costs time in each search and memory for each track."""

SIDE_INFORMATION = ((0.0, 0.0), (0.3, 0.0), (0.0, 1.0), (0.3, 1.0))
"""Pairs of user exponent and tag weight that are tried."""

STRENGTHS = tuple(product((1.0, 2.0, 4.0), (0.25, 0.5, 0.75, 1.0)))
"""Pairs of λ and item exponent that are tried."""

NEIGHBOURS = 128
"""Of each track, in factored neighbours."""

NEIGHBOUR_EXPONENTS = (0.25, 0.5, 0.75)
NEIGHBOUR_L2 = 4.0
"""Item exponents of factored neighbours that are tried, each with a user exponent of 0.25 and of 0.5, and their λ."""

VALIDATION_LISTENERS = 4_000


@dataclass(frozen=True, slots=True)
class CollaborativeFit:
    """The chosen options with the model fitted without (`selection`) and with (`final`) the validation tracks."""

    options: CollaborativeOptions
    selection: CollaborativeModel
    final: CollaborativeModel
    score: float


def train_collaborative(
    split: Split,
    options: CollaborativeOptions,
    *,
    search: bool,
    seed: int,
    progress: Progress,
    dense_tracks: int = DENSE_TRACKS,
) -> CollaborativeFit:
    """Fit the factors; with `search`, first choose every option but the rank's upper bound by validation NDCG@10.

    The search goes one step at a time: side information, then λ with the item exponent, then the rank; and, beyond
    `dense_tracks`, neighbours in place of these.
    """
    n_tracks = len(split.tracks)
    fitting, training = history_matrix(split.fitting, n_tracks), history_matrix(split.training, n_tracks)
    holdout = split.validation.sample(VALIDATION_LISTENERS, seed=seed)
    large = n_tracks > dense_tracks
    highest = min(options.rank, LARGE_CATALOGUE_RANK if large else n_tracks)
    ranks = sorted({rank for rank in RANKS if rank < highest} | {highest})
    side = [pair for pair in SIDE_INFORMATION if len(split.tracks.tags.codes) or not pair[1]] if search else []
    strengths = STRENGTHS if search else ()
    sparser = _neighbour_options(options, highest) if search and large else []
    with progress.stage("collaborative", len(side) + len(strengths) + len(ranks) * search + len(sparser) + 2) as stage:

        def score(model: CollaborativeModel) -> float:
            value = holdout.evaluate(model.scores)["ndcg@10"]
            stage.advance(1, f"validation {value:.4f}")
            return value

        selection = None
        if search:
            candidates = [
                replace(options, rank=ranks[-1], user_exponent=exponent, tag_weight=weight) for exponent, weight in side
            ]
            spectra = [
                decompose(fitting, split.tracks, candidate, dense_tracks=dense_tracks) for candidate in candidates
            ]
            best = int(np.argmax([score(assemble(*pair)) for pair in zip(spectra, candidates, strict=True)]))
            spectrum, options = spectra[best], candidates[best]
            del spectra
            variants = [replace(options, l2=l2, item_exponent=exponent) for l2, exponent in strengths]
            options = variants[int(np.argmax([score(assemble(spectrum, variant)) for variant in variants]))]
            variants = [replace(options, rank=rank) for rank in ranks]
            values = [score(assemble(spectrum, variant)) for variant in variants]
            of_neighbours = [score(model) for model in _factored(fitting, sparser)]
            options = (variants + sparser)[int(np.argmax(values + of_neighbours))]
            if not options.neighbours:
                selection = assemble(spectrum, options)
        selection = selection or _fit(fitting, split.tracks, options, dense_tracks)
        value = score(selection)
        final = _fit(training, split.tracks, options, dense_tracks)
        stage.advance(1, f"validation {value:.4f}")
    return CollaborativeFit(final.options, selection, final, value)


def _neighbour_options(options: CollaborativeOptions, rank: int) -> list[CollaborativeOptions]:
    """Those that find the same neighbours stand together."""
    return [
        replace(
            options,
            rank=rank,
            neighbours=NEIGHBOURS,
            l2=NEIGHBOUR_L2,
            user_exponent=user_exponent,
            item_exponent=item_exponent,
            tag_weight=0.0,
            artist_weight=0.0,
        )
        for user_exponent, item_exponent in product((0.25, 0.5), NEIGHBOUR_EXPONENTS)
    ]


def _factored(matrix: sparse.csr_matrix, candidates: list[CollaborativeOptions]) -> Iterator[CollaborativeModel]:
    """One model at a time; neighbours are found once for all candidates that share them."""
    for _, group in groupby(candidates, key=lambda candidate: candidate.user_exponent):
        same = list(group)
        nearest = find_nearest(matrix, options_of_neighbours(same[0]))
        inverse = invert(nearest, options_of_neighbours(same[0]))
        for candidate in same:
            weights = weigh(nearest, inverse, options_of_neighbours(candidate))
            yield factor_neighbours(weights, matrix, candidate)


def _fit(
    matrix: sparse.csr_matrix, tracks: TrackColumns, options: CollaborativeOptions, dense_tracks: int
) -> CollaborativeModel:
    if options.neighbours:
        return factor_neighbours(fit_neighbours(matrix, options_of_neighbours(options)), matrix, options)
    return assemble(decompose(matrix, tracks, options, dense_tracks=dense_tracks), options)
