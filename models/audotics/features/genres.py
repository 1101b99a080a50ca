"""The ten genres: a track's tags go in, its genre memberships come out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.rules import GENRE_TAGS
from audotics.features.tracks import TagSets

GENRES: Final = tuple(GENRE_TAGS)

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


def genre_columns(genres: Iterable[str]) -> NDArray[np.intp]:
    """Columns of the named genres. Raises ValueError that names an unknown genre and lists the known ones."""
    columns = []
    for genre in genres:
        name = genre.strip().lower()
        if name not in GENRES:
            raise ValueError(f"unknown genre {genre!r}; known genres: {', '.join(GENRES)}")
        columns.append(GENRES.index(name))
    return np.asarray(columns, np.intp)
