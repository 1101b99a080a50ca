"""What the synthetic genres sound like: constants that the generator draws from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

UNIT_FEATURES: Final = (
    "danceability",
    "energy",
    "speechiness",
    "acousticness",
    "instrumentalness",
    "liveness",
    "valence",
)
"""Audio features that lie in 0..1, in the order of `GenreProfile.centres`."""


@dataclass(frozen=True, slots=True)
class GenreProfile:
    """A genre of `audotics.features.genres.GENRES`: hand-set, plausible, and not measured."""

    name: str
    sub_genres: tuple[str, ...]
    centres: tuple[float, ...]  # typical values of UNIT_FEATURES
    tempo: float  # BPM
    explicit_share: float


PROFILES: Final = (
    GenreProfile(
        "pop",
        ("dance pop", "art pop", "power pop", "teen pop"),
        (0.65, 0.65, 0.06, 0.20, 0.02, 0.16, 0.60),
        118,
        0.10,
    ),
    GenreProfile(
        "rock",
        ("classic rock", "hard rock", "garage rock", "punk", "metal"),
        (0.48, 0.80, 0.06, 0.10, 0.08, 0.22, 0.48),
        126,
        0.08,
    ),
    GenreProfile(
        "hip-hop",
        ("rap", "trap", "boom bap hip hop", "southern hip hop"),
        (0.75, 0.64, 0.24, 0.15, 0.02, 0.18, 0.50),
        104,
        0.60,
    ),
    GenreProfile(
        "electronic",
        ("deep house", "techno", "trance", "ambient", "electropop"),
        (0.66, 0.75, 0.07, 0.08, 0.50, 0.15, 0.42),
        125,
        0.04,
    ),
    GenreProfile(
        "jazz",
        ("vocal jazz", "bebop", "swing", "jazz fusion"),
        (0.52, 0.35, 0.05, 0.70, 0.45, 0.16, 0.50),
        112,
        0.01,
    ),
    GenreProfile(
        "classical",
        ("baroque", "opera", "orchestral classical", "piano classical"),
        (0.28, 0.18, 0.04, 0.93, 0.80, 0.13, 0.22),
        102,
        0.00,
    ),
    GenreProfile(
        "country",
        ("bluegrass", "americana", "outlaw country"),
        (0.56, 0.58, 0.04, 0.40, 0.02, 0.17, 0.60),
        120,
        0.03,
    ),
    GenreProfile(
        "r&b",
        ("neo soul", "funk", "motown", "contemporary r&b"),
        (0.66, 0.50, 0.08, 0.35, 0.03, 0.15, 0.55),
        106,
        0.20,
    ),
    GenreProfile(
        "indie",
        ("indie folk", "indie rock", "dream indie"),
        (0.52, 0.52, 0.05, 0.45, 0.12, 0.15, 0.42),
        119,
        0.06,
    ),
    GenreProfile(
        "alternative",
        ("alternative rock", "grunge", "alternative dance"),
        (0.50, 0.72, 0.06, 0.14, 0.10, 0.18, 0.42),
        123,
        0.09,
    ),
)

SUB_GENRES: Final = tuple(sub_genre for profile in PROFILES for sub_genre in profile.sub_genres)
"""All sub-genres; a sub-genre's place here is its number everywhere in this package."""


def genre_of_sub_genre() -> NDArray[np.int64]:
    """Place in PROFILES of each sub-genre, int64 (len(SUB_GENRES),)."""
    return np.repeat(np.arange(len(PROFILES)), [len(profile.sub_genres) for profile in PROFILES])
