"""Product genres of the Spotify songs: playlists' genres and sub-genres go in, tracks of one genre each come out.

Seven of the ten product genres can be learnt from this set. It has no playlists of jazz, classical or country music, so
a model that is trained on it never says these. Latin playlists are left out: Latin is none of the ten, and what the
sub-genres hold (reggaeton, tropical house, pop) is mixed. Indie and alternative have one sub-genre each, which stand
for more than they hold: "indie poptimism" is Spotify's indie pop, "permanent wave" its canon of alternative rock.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.labelled import LabelledTracks
from audotics.data.loaders.ids import enumerate_ids
from audotics.data.loaders.spotify_songs import load_spotify_songs
from audotics.features.descriptors import DESCRIPTORS, track_descriptors
from audotics.features.genres import GENRES
from audotics.features.tracks import TagSets

GENRE_OF_SUBGENRE: Final = {
    "dance pop": "pop",
    "electropop": "pop",
    "post-teen pop": "pop",
    "indie poptimism": "indie",
    "album rock": "rock",
    "classic rock": "rock",
    "hard rock": "rock",
    "permanent wave": "alternative",
    "gangster rap": "hip-hop",
    "hip hop": "hip-hop",
    "southern hip hop": "hip-hop",
    "trap": "hip-hop",
    "hip pop": "r&b",
    "neo soul": "r&b",
    "new jack swing": "r&b",
    "urban contemporary": "r&b",
    "big room": "electronic",
    "electro house": "electronic",
    "pop edm": "electronic",
    "progressive electro house": "electronic",
}
"""By the genre that Spotify files the sub-genre under; `hip pop` is one of r&b's."""

NOT_LEARNT: Final = tuple(genre for genre in GENRES if genre not in GENRE_OF_SUBGENRE.values())
"""Product genres of which the set holds no playlist: jazz, classical, country."""


def load_product_genres(path: Path, *, skip_bad_rows: bool = False) -> LabelledTracks:
    """Read a Spotify songs file; features are DESCRIPTORS, and the tracks of one artist form a group.

    A track whose playlists name two product genres, or none, is left out and counted. Raises DataError.
    """
    dataset = load_spotify_songs(path, skip_bad_rows=skip_bad_rows)
    genres = _genres(dataset.tracks.tags)
    single = np.asarray([len(found) == 1 for found in genres], np.bool_)
    dataset.report.dropped.update(
        Counter(
            {
                "tracks of two product genres": sum(len(found) > 1 for found in genres),
                "tracks of no product genre": sum(not found for found in genres),
            }
        )
    )
    tracks = dataset.tracks.take(np.flatnonzero(single))
    classes = np.empty(len(tracks), object)
    classes[:] = [next(iter(found)) for found in genres if len(found) == 1]
    return LabelledTracks.build(
        dataset.name,
        ids=tracks.ids,
        feature_names=DESCRIPTORS,
        x=track_descriptors(tracks),
        classes=classes,
        report=dataset.report,
        groups=_artists(tracks.artists),
    )


def _genres(tags: TagSets) -> list[set[str]]:
    return [{GENRE_OF_SUBGENRE[tag] for tag in tags.row(row) if tag in GENRE_OF_SUBGENRE} for row in range(len(tags))]


def _artists(names: NDArray[np.object_]) -> NDArray[np.int64]:
    """One number an artist; tracks without an artist stay apart."""
    groups = enumerate_ids(names)[0].astype(np.int64)
    nameless = np.flatnonzero(names == "")
    groups[nameless] = groups.max(initial=0) + 1 + np.arange(len(nameless))
    return groups
