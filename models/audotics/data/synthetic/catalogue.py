"""The synthetic catalogue: a space of tastes goes in, the columns of its tracks come out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.synthetic.genres import PROFILES, SUB_GENRES, UNIT_FEATURES, genre_of_sub_genre
from audotics.data.synthetic.names import artist_names, serial_ids, titles
from audotics.data.synthetic.taste import DIMENSIONS, TasteSpace
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TagSets, TrackColumns

_FIRST_YEAR: Final = 1960
_LAST_YEAR: Final = 2025
_LYRICS_WARNINGS_SINCE: Final = 1985

_TASTE_EFFECT: Final = 3.0  # logits: how far a track's place in the space of tastes moves its audio features
_NOISE: Final = 0.35  # logits: what of the audio features nothing explains


def draw_tracks(space: TasteSpace, *, rng: np.random.Generator) -> TrackColumns:
    """Columns of the tracks of `space`, in its order, with nothing unknown and no plays yet."""
    n = len(space.artist_of_track)
    genre = genre_of_sub_genre()[space.sub_genre_of_track]
    years = _release_years(space, rng=rng)
    explicit_share = np.asarray([profile.explicit_share for profile in PROFILES])[genre]
    # Albums are what an artist brings out in a year.
    releases, album = np.unique(space.artist_of_track * 10_000 + years, return_inverse=True)
    return TrackColumns.build(
        serial_ids("t", n, width=7),
        titles=titles(n, rng=rng),
        artists=artist_names(len(space.sub_genre_of_artist), rng=rng)[space.artist_of_track],
        albums=titles(len(releases), rng=rng)[album],
        tags=_tags(genre, space.sub_genre_of_track, years),
        audio=_audio(space.track_positions, genre, rng=rng),
        release_years=years,
        explicit=((rng.random(n) < explicit_share) & (years >= _LYRICS_WARNINGS_SINCE)).astype(np.int8),
        durations_ms=np.clip(rng.lognormal(np.log(215_000), 0.22, n), 60_000, 900_000).astype(np.int32),
        popularity=1.0 - np.log1p(space.popularity_rank) / np.log1p(n),
    )


def _release_years(space: TasteSpace, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Careers begin in any year, mostly recent ones; a track comes some years into its artist's."""
    n_artists, n = len(space.sub_genre_of_artist), len(space.artist_of_track)
    begins = _LAST_YEAR - (rng.beta(1.2, 2.5, n_artists) * (_LAST_YEAR - _FIRST_YEAR)).astype(np.int64)
    years: NDArray[np.int64] = np.minimum(begins[space.artist_of_track] + rng.geometric(0.2, n) - 1, _LAST_YEAR)
    return years


def _tags(genre: NDArray[np.int64], sub_genre: NDArray[np.int64], years: NDArray[np.int64]) -> TagSets:
    """Three tags a track: genre, sub-genre and decade."""
    decades = [f"{decade}s" for decade in range(_FIRST_YEAR, _LAST_YEAR + 1, 10)]
    names = (*(profile.name for profile in PROFILES), *SUB_GENRES, *decades)
    first_decade = len(PROFILES) + len(SUB_GENRES)
    codes = np.stack([genre, len(PROFILES) + sub_genre, first_decade + (years - _FIRST_YEAR) // 10], axis=1)
    return TagSets(names, np.arange(len(genre) + 1, dtype=np.int64) * 3, codes.ravel().astype(np.int32))


def _audio(
    positions: NDArray[np.float32], genre: NDArray[np.int64], *, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Float32 (n, 11): genre sets the level, position moves it along one direction a feature, noise blurs it."""
    n = len(positions)
    directions = rng.standard_normal((DIMENSIONS, len(UNIT_FEATURES) + 1)).astype(np.float32)
    directions *= _TASTE_EFFECT / np.linalg.norm(directions, axis=0)
    moved = positions @ directions
    moved += np.float32(_NOISE) * rng.standard_normal(moved.shape, dtype=np.float32)
    centres = np.clip([profile.centres for profile in PROFILES], 0.005, 0.995)
    levels = np.log(centres / (1.0 - centres)).astype(np.float32)
    unit = 1.0 / (1.0 + np.exp(-(levels[genre] + moved[:, :-1])))
    audio = np.empty((n, len(AUDIO_FEATURES)), np.float32)
    audio[:, [AUDIO_FEATURES.index(feature) for feature in UNIT_FEATURES]] = unit
    energy, valence = (unit[:, UNIT_FEATURES.index(feature)] for feature in ("energy", "valence"))
    tempo = np.asarray([profile.tempo for profile in PROFILES], np.float32)[genre] + 14.0 * moved[:, -1]
    columns = {
        "loudness": np.clip(-22.0 + 18.0 * energy + 1.5 * rng.standard_normal(n, dtype=np.float32), -60.0, 0.0),
        "tempo": np.clip(tempo, 50.0, 220.0),
        "key": rng.integers(0, 12, n),
        "mode": rng.random(n, dtype=np.float32) < 0.4 + 0.4 * valence,
    }
    for feature, values in columns.items():
        audio[:, AUDIO_FEATURES.index(feature)] = values
    return audio
