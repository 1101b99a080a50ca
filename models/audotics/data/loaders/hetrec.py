"""HetRec 2011 Last.fm: a folder of `.dat` files goes in, a data set with artists as tracks comes out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import Dataset, Interactions, LoadReport
from audotics.data.loaders.assemble import assemble
from audotics.data.loaders.audio import audio_fields, audio_matrix
from audotics.data.loaders.broken_rows import BrokenRows
from audotics.data.loaders.fields import Field
from audotics.data.loaders.ids import enumerate_ids, rows_of
from audotics.data.loaders.lines import TextLayout
from audotics.data.loaders.table import Table, read_table
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TagSets, TrackColumns

MAX_TAGS = 30
"""Most tags that an artist keeps."""

# tags.dat is Latin-1 in places, the other files are UTF-8.
_LAYOUT = TextLayout("\t", header=True, quoted=False, fallback_encoding="latin-1")


def load_hetrec(path: Path, *, skip_bad_rows: bool = False) -> Dataset:
    """Read `user_artists.dat`, `artists.dat` and, where they exist, the tag and `artist_audio_features.csv` files.

    A track is an artist whom somebody played: its id is the artist's, its title and artist are the artist's name.
    Weights are play counts. The source keeps no listening times: the order of a history is that of the file, and
    timestamps are positions in it. The friend graph is not read. Raises DataError.
    """
    report = LoadReport(str(path))
    broken = BrokenRows(report, skip_bad_rows)
    plays = _read_plays(path / "user_artists.dat", broken)
    artists = _read_artists(path / "artists.dat", broken)
    users, user_ids = enumerate_ids(plays.texts("userID"))
    rows, track_ids = _played_artists(plays.texts("artistID"), artists.texts("id"))
    names = _names(track_ids, artists)
    report.dropped["artists whom nobody played"] += int((rows_of(artists.texts("id"), track_ids) < 0).sum())
    tracks = TrackColumns.build(
        track_ids,
        titles=names,
        artists=names,
        tags=_read_tags(path, track_ids, broken),
        audio=_read_audio(path / "artist_audio_features.csv", track_ids, broken),
    )
    interactions = Interactions.build(users, rows, weights=plays.numbers("weight"))
    report.dropped["repeats of a user and an artist, joined"] += len(plays) - len(interactions)
    return assemble(path, tracks=tracks, user_ids=user_ids, interactions=interactions, report=report)


def _read_plays(path: Path, broken: BrokenRows) -> Table:
    fields = (Field("userID", "text"), Field("artistID", "text"), Field("weight", "number", minimum=0))
    plays = read_table(path, fields, layout=_LAYOUT, broken=broken)
    broken.report.read["plays"] = len(plays)
    return plays


def _read_artists(path: Path, broken: BrokenRows) -> Table:
    artists = read_table(path, (Field("id", "text"), Field("name", "text")), layout=_LAYOUT, broken=broken)
    broken.report.read["artists"] = len(artists)
    return artists


def _played_artists(
    played: NDArray[np.object_], listed: NDArray[np.object_]
) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
    """Rows and ids of the played artists, in the order of `artists.dat`, then those that it lacks."""
    _, distinct = enumerate_ids(played)
    place = rows_of(distinct, listed)
    order = np.lexsort((place, place < 0))
    track_ids = distinct[order]
    return rows_of(played, track_ids), track_ids


def _names(track_ids: NDArray[np.object_], artists: Table) -> NDArray[np.object_]:
    rows = rows_of(track_ids, artists.texts("id"))
    names = np.full(len(track_ids), "", object)
    names[rows >= 0] = artists.texts("name")[rows[rows >= 0]]
    return names


def _read_tags(path: Path, track_ids: NDArray[np.object_], broken: BrokenRows) -> TagSets:
    if not (path / "user_taggedartists.dat").exists():
        return TagSets.empty(len(track_ids))
    tags = read_table(
        path / "tags.dat", (Field("tagID", "text"), Field("tagValue", "text")), layout=_LAYOUT, broken=broken
    )
    assigned = read_table(
        path / "user_taggedartists.dat",
        (Field("artistID", "text"), Field("tagID", "text")),
        layout=_LAYOUT,
        broken=broken,
    )
    report = broken.report
    report.read["tags"] = len(tags)
    report.read["tag assignments"] = len(assigned)
    rows = rows_of(assigned.texts("artistID"), track_ids)
    codes = rows_of(assigned.texts("tagID"), tags.texts("tagID"))
    report.dropped["tag assignments to artists whom nobody played"] += int((rows < 0).sum())
    report.dropped["tag assignments with an unknown tag"] += int(((rows >= 0) & (codes < 0)).sum())
    usable = (rows >= 0) & (codes >= 0)
    kept_rows, kept_codes = _agreed_tags(rows[usable], codes[usable], len(tags))
    bounds = np.searchsorted(kept_rows, np.arange(len(track_ids) + 1))
    names: list[str] = tags.texts("tagValue")[kept_codes].tolist()
    return TagSets.from_lists(names[start:end] for start, end in pairwise(bounds.tolist()))


def _agreed_tags(
    rows: NDArray[np.int32], codes: NDArray[np.int32], n_tags: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of track and tag, sorted by track, the most assigned first, at most MAX_TAGS a track.

    A tag assigned once counts only where the track has no tag assigned twice.
    """
    pairs, counts = np.unique(rows.astype(np.int64) * n_tags + codes, return_counts=True)
    order = np.lexsort((-counts, pairs // n_tags))
    pairs, counts = pairs[order], counts[order]
    tracks = pairs // n_tags
    _, first, inverse = np.unique(tracks, return_index=True, return_inverse=True)
    rank = np.arange(len(tracks)) - first[inverse]
    kept = (rank < MAX_TAGS) & ((counts >= 2) | (counts[first][inverse] < 2))
    return tracks[kept], pairs[kept] % n_tags


def _read_audio(path: Path, track_ids: NDArray[np.object_], broken: BrokenRows) -> NDArray[np.float32]:
    """Means over an artist's songs, so that key and mode are fractions."""
    audio = np.full((len(track_ids), len(AUDIO_FEATURES)), np.nan, np.float32)
    if not path.exists():
        return audio
    table = read_table(
        path, (Field("id", "text"), *audio_fields()), layout=TextLayout(",", header=True, quoted=True), broken=broken
    )
    rows = rows_of(table.texts("id"), track_ids)
    known = rows >= 0
    audio[rows[known]] = audio_matrix(table)[known]
    broken.report.dropped["audio features of unknown artists"] += int((~known).sum())
    return audio
