"""What tracks share: catalogue columns go in, each track's weighted artist, genres and tags come out.

A model that embeds these beside the tracks themselves learns from one track about the others that share them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audotics.features.genres import GENRES, genre_matrix
from audotics.features.tracks import TrackColumns

MAX_TAGS = 512
"""The most frequent tags that count; rarer ones say little that a track's listeners do not."""

LEAST_TRACKS = 2
"""Tracks that share an attribute, at least; one of a single track is that track again."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Ragged rows: track i has the attributes codes[offsets[i]:offsets[i + 1]] with `weights` beside them.

    `names` are "artist:…", "genre:…" and "tag:…". The weights of each of the three sorts have unit length in a track,
    so that many tags count no more than a single artist.
    """

    names: tuple[str, ...]
    offsets: NDArray[np.int64]  # (n + 1,)
    codes: NDArray[np.int64]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, tracks: TrackColumns) -> Attributes:
        """Those of `tracks` that at least LEAST_TRACKS of them have; none where the catalogue names none."""
        rows, codes, weights = [], [], []
        names: list[str] = []
        for sort, labels, members in _sorts(tracks):
            sizes = np.bincount(members[1], minlength=len(labels))
            kept = np.flatnonzero(sizes >= LEAST_TRACKS)
            new_code = np.full(len(labels), -1, np.int64)
            new_code[kept] = len(names) + np.arange(len(kept))
            mine = new_code[members[1]] >= 0
            carriers = members[0][mine]
            rows.append(carriers)
            codes.append(new_code[members[1][mine]])
            weights.append(np.bincount(carriers, minlength=len(tracks))[carriers] ** -0.5)
            names.extend(f"{sort}:{labels[label]}" for label in kept)
        row = np.concatenate(rows)
        order = np.argsort(row, kind="stable")
        return cls(
            tuple(names),
            np.searchsorted(row[order], np.arange(len(tracks) + 1)).astype(np.int64),
            np.concatenate(codes)[order],
            np.concatenate(weights)[order].astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.names)


def _sorts(tracks: TrackColumns) -> list[tuple[str, list[str], tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """The three sorts: name, labels, and the pairs (track row, label) of those who carry them."""
    known = np.flatnonzero(tracks.artists != "")
    artists, artist_of = np.unique(tracks.artists[known].astype(str), return_inverse=True)
    genre_rows, genres = np.nonzero(genre_matrix(tracks.tags))
    frequent = np.argsort(-tracks.tags.counts(), kind="stable")[:MAX_TAGS]
    common = np.isin(tracks.tags.codes, frequent)
    tag_rows, tags = tracks.tags.row_indices()[common], tracks.tags.codes[common].astype(np.int64)
    return [
        ("artist", artists.tolist(), (known, artist_of.astype(np.int64))),
        ("genre", list(GENRES), (genre_rows, genres)),
        ("tag", list(tracks.tags.names), (tag_rows, tags)),
    ]
