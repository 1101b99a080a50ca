"""The ten genres: a track's tags and its audio go in, its genre memberships and how well it fits each come out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES, AudioScaler
from audotics.features.rules import GENRE_BY_SOUND, GENRE_TAGS, GENRE_WEIGHTS
from audotics.features.tracks import TagSets

GENRES: Final = tuple(GENRE_TAGS)

_ALIKE: Final = 2.0
"""Score, in standard deviations or about so, from which on a track sounds as much like a genre as it can."""

_COMPILED: Final = tuple(re.compile(GENRE_TAGS[genre], re.IGNORECASE) for genre in GENRES)


def genres_of_tag(tag: str) -> tuple[str, ...]:
    """Genres that a tag names: "indie rock" names two, "favourites" none."""
    return tuple(genre for genre, pattern in zip(GENRES, _COMPILED, strict=True) if pattern.search(tag))


def genre_matrix(tags: TagSets) -> NDArray[np.bool_]:
    """Return bool (n, 10) in the order of GENRES: True where one of the track's tags names the genre."""
    of_tag = np.zeros((len(tags.names), len(GENRES)), np.bool_)
    for code, name in enumerate(tags.names):
        of_tag[code] = [bool(pattern.search(name)) for pattern in _COMPILED]
    result = np.zeros((len(tags), len(GENRES)), np.bool_)
    if len(tags.codes):
        rows, columns = np.nonzero(of_tag[tags.codes])
        result[tags.row_indices()[rows], columns] = True
    return result


def genre_sounds(audio: NDArray[np.float32], scaler: AudioScaler) -> NDArray[np.float32]:
    """How much tracks sound like each genre, float32 (n, 10): about mean 0 and spread 1, exactly 0 without audio.

    `audio` is (n, 11) with NaN where unknown; an unknown feature adds nothing.
    """
    weights = np.zeros((len(AUDIO_FEATURES), len(GENRES)), np.float32)
    for column, genre in enumerate(GENRES):
        for feature, weight in GENRE_WEIGHTS[genre].items():
            weights[AUDIO_FEATURES.index(feature), column] = weight
    weights /= np.linalg.norm(weights, axis=0)
    return scaler.transform(audio)[:, : len(AUDIO_FEATURES)] @ weights


def genre_fits(genres: NDArray[np.bool_], audio: NDArray[np.float32], scaler: AudioScaler) -> NDArray[np.float32]:
    """How well tracks fit each genre, float32 (n, 10): 1 where a tag names it, -1 where their tags name others.

    A track whose tags name none of the ten lies between -1 and GENRE_BY_SOUND, by what it sounds like. `genres` (n, 10)
    comes from `genre_matrix`.
    """
    fits = np.where(genres, np.float32(1.0), np.float32(-1.0))
    untagged = np.flatnonzero(~genres.any(axis=1))
    fits[untagged] += (1 + GENRE_BY_SOUND) * np.clip(genre_sounds(audio[untagged], scaler) / _ALIKE, 0.0, 1.0)
    return fits


def genre_columns(genres: Iterable[str]) -> NDArray[np.intp]:
    """Columns of the named genres. Raises ValueError that names an unknown genre and lists the known ones."""
    columns = []
    for genre in genres:
        name = genre.strip().lower()
        if name not in GENRES:
            raise ValueError(f"unknown genre {genre!r}; known genres: {', '.join(GENRES)}")
        columns.append(GENRES.index(name))
    return np.asarray(columns, np.intp)
