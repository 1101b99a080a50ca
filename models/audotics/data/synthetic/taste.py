"""The space of tastes: sizes go in, positions of sub-genres, artists and tracks come out.

Each position is a unit vector near that of what it belongs to: a track near its artist, the artist near the sub-genre,
the sub-genre near its genre. The cosine of a listener's interest and a track says how well they suit each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.synthetic.genres import PROFILES, genre_of_sub_genre

DIMENSIONS: Final = 16

# How far members stray from their centre, as a share of its length.
_SUB_GENRE_SPREAD: Final = 0.7
_ARTIST_SPREAD: Final = 0.6
_TRACK_SPREAD: Final = 0.45

# Zipf–Mandelbrot: weight = 1 / (rank + shift) ** exponent.
_ZIPF_EXPONENT: Final = 1.0
_ZIPF_SHIFT: Final = 3.0


@dataclass(frozen=True, slots=True)
class TasteSpace:
    """S sub-genres, A artists, n tracks. Positions are float32 unit vectors."""

    sub_genre_positions: NDArray[np.float32]  # (S, DIMENSIONS)
    sub_genre_of_artist: NDArray[np.int64]  # (A,)
    artist_of_track: NDArray[np.int64]  # (n,)
    track_positions: NDArray[np.float32]  # (n, DIMENSIONS)
    popularity_rank: NDArray[np.int64]  # (n,), 0 is the most popular track
    popularity_weight: NDArray[np.float64]  # (n,), sums to 1

    @classmethod
    def draw(cls, *, n_tracks: int, n_artists: int, rng: np.random.Generator) -> TasteSpace:
        genre = genre_of_sub_genre()
        genres = near(np.zeros((len(PROFILES), DIMENSIONS), np.float32), spread=1.0, rng=rng)
        sub_genres = near(genres[genre], spread=_SUB_GENRE_SPREAD, rng=rng)
        sub_genre_of_artist = rng.integers(0, len(genre), n_artists)
        artists = near(sub_genres[sub_genre_of_artist], spread=_ARTIST_SPREAD, rng=rng)
        fame = 1.0 / np.sqrt(rng.permutation(n_artists) + 5.0)
        more_tracks = np.searchsorted(np.cumsum(fame / fame.sum()), rng.random(n_tracks - n_artists))
        artist_of_track = np.concatenate([np.arange(n_artists), np.minimum(more_tracks, n_artists - 1)])
        artist_of_track = rng.permutation(artist_of_track)
        appeal = np.log(fame)[artist_of_track] + rng.standard_normal(n_tracks)
        rank = np.empty(n_tracks, np.int64)
        rank[np.argsort(-appeal)] = np.arange(n_tracks)
        weight = (rank + _ZIPF_SHIFT) ** -_ZIPF_EXPONENT
        return cls(
            sub_genre_positions=sub_genres,
            sub_genre_of_artist=sub_genre_of_artist,
            artist_of_track=artist_of_track,
            track_positions=near(artists[artist_of_track], spread=_TRACK_SPREAD, rng=rng),
            popularity_rank=rank,
            popularity_weight=weight / weight.sum(),
        )

    @property
    def sub_genre_of_track(self) -> NDArray[np.int64]:
        return self.sub_genre_of_artist[self.artist_of_track]


def near(centres: NDArray[np.float32], *, spread: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """One unit vector about each centre: the centre plus noise whose length is about `spread`."""
    scale = np.float32(spread / np.sqrt(DIMENSIONS))
    points = centres + scale * rng.standard_normal(centres.shape, dtype=np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points
