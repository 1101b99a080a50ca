"""The Spotify songs CSV: a file of tracks in playlists goes in, a data set with playlists as users comes out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import Dataset, Interactions, LoadReport
from audotics.data.loaders.assemble import assemble
from audotics.data.loaders.audio import audio_fields, audio_matrix
from audotics.data.loaders.broken_rows import BrokenRows
from audotics.data.loaders.fields import Field
from audotics.data.loaders.ids import enumerate_ids
from audotics.data.loaders.lines import TextLayout
from audotics.data.loaders.table import Table, read_table
from audotics.features.tracks import UNKNOWN_YEAR, TagSets, TrackColumns

SONGS_FILE: Final = "spotify_songs.csv"

_TEXTS: Final = ("track_name", "track_artist", "track_album_name")
_TAGS: Final = ("playlist_genre", "playlist_subgenre")


def load_spotify_songs(path: Path, *, skip_bad_rows: bool = False) -> Dataset:
    """Read a CSV file with one row a track in a playlist, or a folder with `spotify_songs.csv`.

    A user is a playlist, in the order of the file, which is no order of time. A track's tags are the genres and
    sub-genres of all its playlists; the rest comes from its first row. Popularity is scaled from 0..100 to 0..1.
    Raises DataError.
    """
    report = LoadReport(str(path))
    fields = (
        Field("track_id", "text"),
        Field("playlist_id", "text"),
        *(Field(column, "text", required=False) for column in (*_TEXTS, *_TAGS, "track_album_release_date")),
        Field("track_popularity", "number", required=False, minimum=0, maximum=100),
        Field("duration_ms", "number", required=False, minimum=0, maximum=2**31 - 1),
        *audio_fields(),
    )
    file = path / SONGS_FILE if path.is_dir() else path
    layout = TextLayout(",", header=True, quoted=True)
    table = read_table(file, fields, layout=layout, broken=BrokenRows(report, skip_bad_rows))
    report.read["rows"] = len(table)
    tracks, track_ids = enumerate_ids(table.texts("track_id"))
    users, user_ids = enumerate_ids(table.texts("playlist_id"))
    _, first_row = np.unique(tracks, return_index=True)
    pairs = np.unique(users.astype(np.int64) * max(1, len(track_ids)) + tracks, return_index=True)[1]
    pairs.sort()
    report.dropped["repeats of a track in a playlist, joined"] += len(table) - len(pairs)
    return assemble(
        path,
        tracks=_catalogue(table, tracks, track_ids, first_row),
        user_ids=user_ids,
        interactions=Interactions.build(users[pairs], tracks[pairs]),
        report=report,
    )


def _catalogue(
    table: Table, tracks: NDArray[np.int32], track_ids: NDArray[np.object_], first_row: NDArray[np.intp]
) -> TrackColumns:
    titles, artists, albums = (table.texts(column)[first_row] for column in _TEXTS)
    # The file was written by R, whose missing value is "NA"; a lone "NA" may be a name.
    missing = (titles == "NA") & (artists == "NA") & (albums == "NA")
    for column in (titles, artists, albums):
        column[missing] = ""
    durations = table.numbers("duration_ms")[first_row]
    return TrackColumns.build(
        track_ids,
        titles=titles,
        artists=artists,
        albums=albums,
        tags=TagSets.from_lists(_tags_by_track(table, tracks, len(track_ids))),
        audio=audio_matrix(table)[first_row],
        release_years=_years(table.texts("track_album_release_date")[first_row]),
        durations_ms=np.nan_to_num(durations).astype(np.int32),
        popularity=table.numbers("track_popularity")[first_row] / 100.0,
    )


def _tags_by_track(table: Table, tracks: NDArray[np.int32], n_tracks: int) -> Iterator[list[str]]:
    """Yield the genres and sub-genres of each track's rows, in the order of tracks."""
    order = np.argsort(tracks, kind="stable")
    names = np.stack([table.texts(column)[order] for column in _TAGS], axis=1)
    bounds = np.searchsorted(tracks[order], np.arange(n_tracks + 1))
    for start, end in pairwise(bounds.tolist()):
        yield names[start:end].ravel().tolist()


def _years(dates: NDArray[np.object_]) -> NDArray[np.int16]:
    """Years of dates such as "2019-06-14", "2019-06" and "2019"."""
    return np.asarray([int(date[:4]) if date[:4].isdecimal() else UNKNOWN_YEAR for date in dates], np.int16)
