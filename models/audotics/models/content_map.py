"""From what a track is to who listens to it: a linear map from content inputs to listening factors, in closed form.

The factors of a track are its row of V·diag(s / (s + λ))^½, the leading eigenvectors of the Gram matrix of who heard
what (`collaborative.decompose`), damped as EASE damps them: their inner products are what EASE-like models know of two
tracks. A ridge regression of the factors on audio features, tags and artist (attribute-to-feature mapping, Gantner et
al. 2010) then gives factors to tracks that nobody has heard. Artists with one track among those heard stay out of it:
they would stand for the track itself, and take from the tags what these have to explain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from audotics.features.content import ContentInputs
from audotics.features.tracks import TrackColumns
from audotics.models.collaborative import CollaborativeOptions, decompose

ITERATIONS = 100
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class ContentMapOptions:
    """Hyper-parameters. `l2` is the ridge's; `damping` is λ of the factors in units of the Gram matrix's mean diagonal.

    The weights scale the inputs: what weighs more is trusted more.
    """

    l2: float = 6.0
    damping: float = 3.0
    audio_weight: float = 0.15
    tag_weight: float = 1.0
    artist_weight: float = 0.7
    constant: float = 0.3


@dataclass(frozen=True, slots=True)
class ContentMap:
    """Factors are audio·`audio` + tags·`tags` + `artist`[bucket] + `constant`, float32 with d columns each."""

    audio: NDArray[np.float32]
    tags: NDArray[np.float32]
    artist: NDArray[np.float32]
    constant: NDArray[np.float32]

    def factors(self, inputs: ContentInputs) -> NDArray[np.float32]:
        """float32 (n, d)."""
        return inputs.audio @ self.audio + inputs.tags @ self.tags + self.artist[inputs.artist] + self.constant


def listening_factors(
    histories: Sequence[NDArray[np.integer]], tracks: int, size: int, *, damping: float
) -> NDArray[np.float64]:
    """float64 (tracks, size): factors of each track; rows of zeros for tracks that nobody heard."""
    lengths = [len(history) for history in histories]
    columns = np.concatenate([np.zeros(0, np.int64), *histories])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    matrix = sparse.csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=(len(lengths), tracks))
    rank = min(size, min(matrix.shape) - 1)
    columns_only = TrackColumns.build([""] * tracks)
    spectrum = decompose(matrix, columns_only, CollaborativeOptions(rank=rank), dense_tracks=0)
    values = spectrum.values[:rank]
    factors = np.zeros((tracks, size))
    factors[:, :rank] = spectrum.vectors[:, :rank] * np.sqrt(values / (values + damping * spectrum.mean_diagonal))
    return factors


def fit_content_map(
    inputs: ContentInputs,
    factors: NDArray[np.float64],
    heard: NDArray[np.bool_],
    *,
    buckets: int,
    options: ContentMapOptions,
) -> ContentMap:
    """Regress `factors` (n, d) on `inputs` over the rows that are `heard` (n,)."""
    artist = shared_artists(inputs.artist, heard)
    blocks = [
        sparse.csr_matrix(options.audio_weight * inputs.audio),
        sparse.csr_matrix(options.tag_weight * inputs.tags),
        options.artist_weight * _membership(artist, buckets),
        sparse.csr_matrix(np.full((len(inputs), 1), options.constant, np.float32)),
    ]
    features = sparse.hstack(blocks).tocsr()[np.flatnonzero(heard)].astype(np.float64)
    used = np.flatnonzero(features.getnnz(axis=0))  # of the buckets of artists most are empty
    solution = np.zeros((features.shape[1], factors.shape[1]))
    solution[used] = _ridge(features[:, used], factors[heard], options.l2)
    n_audio, n_tags = inputs.audio.shape[1], inputs.tags.shape[1]
    audio, tags, artists, constant = np.split(solution, np.cumsum([n_audio, n_tags, buckets]))
    return ContentMap(
        (options.audio_weight * audio).astype(np.float32),
        (options.tag_weight * tags).astype(np.float32),
        (options.artist_weight * artists).astype(np.float32),
        (options.constant * constant[0]).astype(np.float32),
    )


def shared_artists(artist: NDArray[np.int64], heard: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`artist` with 0, the unknown one, in place of those with fewer than two of the `heard` tracks."""
    counts = np.bincount(artist[heard], minlength=int(artist.max(initial=0)) + 1)
    return np.where(counts[artist] >= 2, artist, 0)


def _membership(artist: NDArray[np.int64], buckets: int) -> sparse.csr_matrix:
    known = np.flatnonzero(artist)
    return sparse.csr_matrix((np.ones(len(known), np.float32), (known, artist[known])), shape=(len(artist), buckets))


def _ridge(features: sparse.csr_matrix, targets: NDArray[np.float64], l2: float) -> NDArray[np.float64]:
    """(FᵀF + l2·I)⁻¹ FᵀY by conjugate gradients, all columns of Y at once."""
    solution = np.zeros((features.shape[1], targets.shape[1]))
    residual = features.T @ targets
    direction, energy = residual, (residual**2).sum(axis=0)
    goal = TOLERANCE**2 * energy
    for _ in range(ITERATIONS):
        if (energy <= goal).all():
            break
        image = features.T @ (features @ direction) + l2 * direction
        step = energy / np.maximum((direction * image).sum(axis=0), 1e-300)
        solution += step * direction
        residual = residual - step * image
        previous, energy = energy, (residual**2).sum(axis=0)
        direction = residual + energy / np.maximum(previous, 1e-300) * direction
    return solution
