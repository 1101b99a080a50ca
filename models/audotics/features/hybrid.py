"""Inputs of the hybrid: scores of the single models and the situation go in, the gating network's tensors come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.content import Embeddings
from audotics.features.genres import genre_columns
from audotics.features.situation import mood_mixture

COMPONENTS: Final = ("collaborative", "ncf", "content", "context", "popularity", "sequence")
"""Columns of `components`, one score each."""

CONTEXT_FEATURES: Final = (
    "history_length",
    "cold_listener",
    "has_context",
    "track_plays",
    "cold_track",
    "artist_heard",
    "artist_last",
)
"""Columns of `context`: what the weights depend on besides the scores."""


RECENT_TRACKS: Final = 32
"""Most tracks of a listener, the last ones, that the sequence model looks at."""


@dataclass(frozen=True, slots=True)
class HybridInputs:
    """float32: components (n, 6), available (n, 6) with 1 where a score exists, context (n, 7)."""

    components: NDArray[np.float32]
    available: NDArray[np.float32]
    context: NDArray[np.float32]

    def feeds(self) -> dict[str, NDArray[Any]]:
        """Keyed by the model's input names."""
        return {"components": self.components, "available": self.available, "context": self.context}


def content_scores(candidates: Embeddings, history: NDArray[np.float32]) -> NDArray[np.float32]:
    """Length of each of the n candidates times its mean cosine to all tracks of the history, float32 (n,).

    `history` (h, d) holds unit vectors; with an empty one the result is NaN. The mean over the few nearest tracks
    alone was tried, and so were cosines without the lengths: both find fewer of the tracks that nobody has heard yet.
    """
    if len(history) == 0:
        return np.full(len(candidates), np.nan, np.float32)
    scores: NDArray[np.float32] = candidates.vectors @ history.mean(axis=0, dtype=np.float32) * candidates.lengths
    return scores


def context_scores(
    moods: NDArray[np.float32],
    genre_fits: NDArray[np.float32],
    *,
    mood: str | None,
    wanted_genres: Sequence[str],
    activity: str | None = None,
    day_part: str | None = None,
) -> NDArray[np.float32]:
    """How well tracks suit a situation, float32 (n,): scores of its moods plus the best fit to a wanted genre, -1..1.

    `moods` (n, 8) comes from `mood_scores`, `genre_fits` (n, 10) from the function of that name; activity and part of
    the day are names of `audotics.features.rules`. With nothing asked for it is NaN.
    """
    mixture = mood_mixture(mood=mood, activity=activity, day_part=day_part)
    if mixture is None and not wanted_genres:
        return np.full(len(moods), np.nan, np.float32)
    scores = np.zeros(len(moods), np.float32) if mixture is None else moods @ mixture
    if wanted_genres:
        scores += genre_fits[:, genre_columns(wanted_genres)].max(axis=1)
    return scores


@dataclass(frozen=True, slots=True)
class ArtistMatches:
    """float32 (n,) each: how many of a listener's tracks are by a candidate's artist, and 1 where the last one is."""

    heard: NDArray[np.float32]
    last: NDArray[np.float32]


def artist_matches(candidates: NDArray[np.integer], history: NDArray[np.integer]) -> ArtistMatches:
    """`candidates` (n,) and `history` (h,), oldest first, are codes of artists, negative where unknown."""
    artists, counts = np.unique(history[history >= 0], return_counts=True)
    if not len(artists):
        return ArtistMatches(np.zeros(len(candidates), np.float32), np.zeros(len(candidates), np.float32))
    place = np.minimum(np.searchsorted(artists, candidates), len(artists) - 1)
    heard = np.where(artists[place] == candidates, counts[place], 0).astype(np.float32)
    return ArtistMatches(heard, ((candidates == history[-1]) & (candidates >= 0)).astype(np.float32))


def popularity_scores(plays: NDArray[np.float32]) -> NDArray[np.float32]:
    """log(1 + plays) on a scale where the most played track has 1, float32 (n,) in 0..1.

    Tracks that nobody plays do not move it, so a catalogue that grew since the training keeps its scores.
    """
    logs = np.log1p(plays.astype(np.float64))
    highest = logs.max(initial=0.0)
    return (logs / highest if highest > 0 else logs).astype(np.float32)


def hybrid_inputs(
    *,
    collaborative: NDArray[np.float32] | None,
    ncf: NDArray[np.float32] | None,
    content: NDArray[np.float32] | None,
    context: NDArray[np.float32] | None,
    popularity: NDArray[np.float32],
    cold_tracks: NDArray[np.bool_],
    history_length: int,
    sequence: NDArray[np.float32] | None = None,
    artists: ArtistMatches | None = None,
) -> HybridInputs:
    """Assemble the gating network's inputs for the candidates of one listener.

    Scores have shape (n,); None, or NaN in a place, says that the model has no opinion. `popularity` comes from
    `popularity_scores`, `cold_tracks` says which candidates nobody has played. Without `artists` nothing matches.
    """
    n = len(popularity)
    columns = (collaborative, ncf, content, context, popularity, sequence)
    components = np.full((n, len(COMPONENTS)), np.nan, np.float32)
    for index, column in enumerate(columns):
        if column is not None:
            components[:, index] = column
    available = ~np.isnan(components)
    situation = np.empty((n, len(CONTEXT_FEATURES)), np.float32)
    situation[:, 0] = np.log1p(history_length) / 5.0
    situation[:, 1] = history_length == 0
    situation[:, 2] = available[:, 3]
    situation[:, 3] = popularity
    situation[:, 4] = cold_tracks
    situation[:, 5] = 0.0 if artists is None else np.log1p(artists.heard)
    situation[:, 6] = 0.0 if artists is None else artists.last
    return HybridInputs(
        np.where(available, components, 0.0).astype(np.float32), available.astype(np.float32), situation
    )
