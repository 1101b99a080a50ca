"""Profiles of taste: the tracks of a history go in, shares of genres, moods and artists and a mean sound come out.

Diversity is Shannon's entropy over its maximum (Pielou 1966, evenness). Two distributions are compared by 1 less their
Jensen-Shannon divergence in bits (Lin 1991), artists by what two listeners have in common, Σ min(p, q).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FACETS: Final = ("genres", "moods", "artists", "sound")
"""What profiles are compared by."""


@dataclass(frozen=True, slots=True, eq=False)
class TasteProfile:
    """A listener's n tracks. Shares sum up to 1, or are all 0 where nothing is known.

    genres (10,) and moods (8,) are in the orders of GENRES and MOODS; artists (a,) are codes with `artist_shares` (a,),
    the largest first; sound (11,) is the mean of standardised audio features, NaN where unknown.
    """

    n_tracks: int
    genres: Floats
    moods: Floats
    artists: NDArray[np.int32]
    artist_shares: Floats
    sound: Floats

    @classmethod
    def of(
        cls,
        *,
        genres: NDArray[np.bool_],
        moods: NDArray[np.floating],
        artists: NDArray[np.int32],
        audio: NDArray[np.floating],
    ) -> TasteProfile:
        """From columns of tracks: genres bool (n, 10), moods (n, 8), artists (n,), negative if unknown, audio (n, 11).

        A track of several genres counts for each in part. Its mood is the strongest; without audio, where all moods are
        0, it has none.
        """
        known = ~np.isnan(audio)
        count = known.sum(axis=0)
        mean = np.where(known, audio, 0.0).sum(axis=0) / np.maximum(count, 1)
        codes, plays = np.unique(artists[artists >= 0], return_counts=True)
        order = np.argsort(-plays, kind="stable")
        return cls(
            n_tracks=len(artists),
            genres=genre_shares(genres),
            moods=mood_shares(moods),
            artists=codes[order],
            artist_shares=plays[order] / max(len(artists), 1),
            sound=np.where(count > 0, mean, np.nan),
        )


def genre_shares(genres: NDArray[np.bool_]) -> Floats:
    """(10,) from memberships (n, 10): each track counts once, in equal parts for its genres."""
    of_track = genres.sum(axis=1, keepdims=True)
    return _shares((genres / np.maximum(of_track, 1)).sum(axis=0))


def mood_shares(moods: NDArray[np.floating]) -> Floats:
    """(8,) from scores (n, 8): each track counts for its strongest mood."""
    felt = moods[np.any(moods != 0.0, axis=1)]
    return _shares(np.bincount(felt.argmax(axis=1), minlength=moods.shape[1]).astype(np.float64))


def diversity(shares: Floats) -> float | None:
    """Entropy over its maximum, 0..1; None where there are no shares."""
    held = shares[shares > 0]
    if not len(held):
        return None
    return float(-(held * np.log(held)).sum() / np.log(len(shares))) + 0.0


def likeness(first: TasteProfile, second: TasteProfile) -> Floats:
    """float64 (4,) by FACETS, 0..1; NaN where one of the two is not known."""
    sounds = first.sound - second.sound
    known = ~np.isnan(sounds)
    distance = np.sqrt((sounds[known] ** 2).mean()) if known.any() else np.nan
    _, mine, theirs = np.intersect1d(first.artists, second.artists, assume_unique=True, return_indices=True)
    common = np.minimum(first.artist_shares[mine], second.artist_shares[theirs]).sum()
    known_artists = len(first.artists) and len(second.artists)
    return np.asarray(
        [
            _overlap(first.genres, second.genres),
            _overlap(first.moods, second.moods),
            common if known_artists else np.nan,
            1.0 / (1.0 + distance),
        ]
    )


def _overlap(first: Floats, second: Floats) -> float:
    if not first.any() or not second.any():
        return float("nan")
    middle = (first + second) / 2

    def divergence(shares: Floats) -> float:
        held = shares > 0
        return float((shares[held] * np.log2(shares[held] / middle[held])).sum())

    return 1.0 - (divergence(first) + divergence(second)) / 2


def _shares(amounts: Floats) -> Floats:
    total = amounts.sum()
    return amounts / total if total > 0 else amounts
