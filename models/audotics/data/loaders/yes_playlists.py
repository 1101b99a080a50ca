"""Yes.com radio playlists (Chen et al. 2012): a folder goes in, a data set with playlists as users comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.data.loaders.assemble import assemble
from audotics.data.loaders.audio import audio_fields, audio_matrix
from audotics.data.loaders.broken_rows import BrokenRowError, BrokenRows
from audotics.data.loaders.fields import Field
from audotics.data.loaders.ids import numbers_as_ids, rows_of
from audotics.data.loaders.lines import TextLayout, numbered_lines
from audotics.data.loaders.table import Table, read_table
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TagSets, TrackColumns

_HEADER_LINES = 2
_NO_TAGS = "#"


def load_yes_playlists(path: Path, *, skip_bad_rows: bool = False) -> Dataset:
    """Read `song_hash.txt`, `train.txt` and, where they exist, the tag and `song_audio_features.csv` files of a folder.

    A user is a playlist. Its id is the number of its line among the data lines of `train.txt`, from "0". Timestamps are
    positions in the playlist; a song's repeats in a playlist are joined into a weight. A track id is the song's id in
    `song_hash.txt`. Raises DataError.
    """
    report = LoadReport(str(path))
    broken = BrokenRows(report, skip_bad_rows)
    songs = _read_songs(path / "song_hash.txt", broken)
    track_ids = numbers_as_ids(songs.integers("song id"))
    tracks = TrackColumns.build(
        track_ids,
        titles=_unescaped(songs.texts("title")),
        artists=_unescaped(songs.texts("artist")),
        tags=_read_tags(path, songs.integers("song id"), broken),
        audio=_read_audio(path / "song_audio_features.csv", track_ids, broken),
    )
    playlists, interactions = _read_playlists(path / "train.txt", songs.integers("song id"), broken)
    return assemble(path, tracks=tracks, user_ids=numbers_as_ids(playlists), interactions=interactions, report=report)


def _read_songs(path: Path, broken: BrokenRows) -> Table:
    fields = (
        Field("song id", "integer", minimum=0),
        Field("title", "text", required=False),
        Field("artist", "text", required=False),
    )
    songs = read_table(path, fields, layout=TextLayout("\t", header=False, quoted=False), broken=broken)
    ids = songs.integers("song id")
    if len(np.unique(ids)) < len(ids):
        raise DataError("a song id stands there twice; each song needs an id of its own", path=path)
    broken.report.read["songs"] = len(songs)
    return songs


def _unescaped(texts: NDArray[np.object_]) -> list[str]:
    return [text.replace("\\/", "/") for text in texts]


def _read_playlists(
    path: Path, song_ids: NDArray[np.int64], broken: BrokenRows
) -> tuple[NDArray[np.int64], Interactions]:
    """Return the data-line numbers of the kept playlists and their songs."""
    row_of = {song: row for row, song in enumerate(song_ids.tolist())}
    lines: list[int] = []
    lengths: list[int] = []
    tracks: list[int] = []
    data_lines = 0
    for number, text in numbered_lines(path):
        if number <= _HEADER_LINES:
            continue
        data_lines += 1
        songs: list[int] = []
        for token in text.split():
            song = row_of.get(int(token)) if token.isdecimal() else None
            if song is None:
                reason = "songs that song_hash.txt lacks" if token.isdecimal() else "song ids that are no numbers"
                broken.reject(path, number, BrokenRowError(reason, detail=repr(token)))
            else:
                songs.append(song)
        if songs:
            lines.append(data_lines - 1)
            lengths.append(len(songs))
            tracks.extend(songs)
    if data_lines == 0:
        raise DataError("holds no playlists; they are expected from line 3, after two header lines", path=path)
    starts = np.cumsum(lengths) - lengths
    interactions = Interactions.build(
        np.repeat(np.arange(len(lengths)), lengths),
        np.asarray(tracks, np.int64),
        timestamps=np.arange(len(tracks)) - np.repeat(starts, lengths),
    )
    broken.report.read["playlists"] = data_lines
    broken.report.dropped["playlists without a known song"] += data_lines - len(lines)
    broken.report.dropped["repeats of a song in a playlist, joined"] += len(tracks) - len(interactions)
    return np.asarray(lines, np.int64), interactions


def _read_tags(path: Path, song_ids: NDArray[np.int64], broken: BrokenRows) -> TagSets:
    """Line n of `tags.txt` holds the tag ids of song n, counted from 0."""
    if not (path / "tags.txt").exists():
        return TagSets.empty(len(song_ids))
    names = _read_tag_names(path / "tag_hash.txt", broken)
    by_song: list[list[str]] = []
    for number, text in numbered_lines(path / "tags.txt"):
        tokens = [] if text.strip() == _NO_TAGS else text.split()
        unknown = [token for token in tokens if token not in names]
        if unknown:
            broken.reject(path / "tags.txt", number, BrokenRowError("unknown tag id", detail=repr(unknown[0])))
        by_song.append([names[token] for token in tokens if token in names])
    if len(song_ids) and song_ids.max() >= len(by_song):
        message = (
            f"has {len(by_song)} lines, but song_hash.txt goes up to song {song_ids.max()}: a line a song is needed"
        )
        raise DataError(message, path=path / "tags.txt")
    return TagSets.from_lists(by_song[song] for song in song_ids.tolist())


def _read_tag_names(path: Path, broken: BrokenRows) -> dict[str, str]:
    names: dict[str, str] = {}
    for number, text in numbered_lines(path):
        tag_id, comma, name = text.partition(",")
        if comma and tag_id.strip().isdecimal() and name.strip():
            names[tag_id.strip()] = name.strip()
        elif text.strip():
            broken.reject(path, number, BrokenRowError("not a tag id, a comma and a name", detail=repr(text)))
    broken.report.read["tags"] = len(names)
    return names


def _read_audio(path: Path, track_ids: NDArray[np.object_], broken: BrokenRows) -> NDArray[np.float32]:
    audio = np.full((len(track_ids), len(AUDIO_FEATURES)), np.nan, np.float32)
    if not path.exists():
        return audio
    fields = (Field("song_id", "text"), *audio_fields())
    table = read_table(path, fields, layout=TextLayout(",", header=True, quoted=True), broken=broken)
    rows = rows_of(table.texts("song_id"), track_ids)
    known = rows >= 0
    audio[rows[known]] = audio_matrix(table)[known]
    broken.report.dropped["audio features of unknown songs"] += int((~known).sum())
    return audio
