"""Plain CSV, TSV and Parquet: a file of interactions and an optional file of tracks go in, a data set comes out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.data.loaders.assemble import assemble
from audotics.data.loaders.audio import audio_field, without_impossible_tempo
from audotics.data.loaders.broken_rows import BrokenRows
from audotics.data.loaders.fields import Field
from audotics.data.loaders.ids import enumerate_ids, rows_of
from audotics.data.loaders.lines import TextLayout
from audotics.data.loaders.table import LIST_SEPARATOR, Table, column_names, read_table
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TagSets, TrackColumns

LAYOUTS: Final[dict[str, TextLayout | None]] = {
    ".csv": TextLayout(",", header=True, quoted=True),
    ".tsv": TextLayout("\t", header=True, quoted=True),
    ".parquet": None,
}
"""File suffixes that can be read; Parquet needs no text layout."""

INTERACTION_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "user": ("user", "user_id", "userId", "playlist_id", "session_id"),
    "track": ("track", "track_id", "trackId", "item", "item_id", "itemId", "song_id"),
    "weight": ("weight", "count", "plays", "play_count"),
    "timestamp": ("timestamp", "time", "ts", "played_at"),
}
"""Columns of interactions, and the names they are looked for by unless a mapping names them."""

TRACK_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "track_id", "trackId", "item_id", "song_id"),
    "title": ("title", "track_name", "name"),
    "artist": ("artist", "track_artist", "artist_name"),
    "album": ("album", "album_name"),
    "tags": ("tags",),
    "release_year": ("release_year", "year"),
    "explicit": ("explicit",),
    "duration_ms": ("duration_ms",),
    "popularity": ("popularity",),
    **{feature: (feature,) for feature in AUDIO_FEATURES},
}
"""The same for tracks."""

_REQUIRED: Final = frozenset({"user", "track", "id"})


def load_tabular(
    interactions: Path,
    *,
    tracks: Path | None = None,
    columns: Mapping[str, str] | None = None,
    tag_separator: str = LIST_SEPARATOR,
    skip_bad_rows: bool = False,
) -> Dataset:
    """Read a file of interactions and, where given, one of tracks.

    `columns` maps keys of INTERACTION_COLUMNS and TRACK_COLUMNS to column names of the files. Weights are at least 0;
    without them each row weighs 1, and a pair's rows add up. Timestamps are seconds since the epoch or ISO 8601;
    without them the order of the file stands for time. Tracks that only the interactions name are in the catalogue
    too, with nothing but their id. Popularity is 0..1; Parquet lists of tags need no separator. Raises DataError.
    """
    mapping = _checked_mapping(columns or {})
    report = LoadReport(str(interactions))
    broken = BrokenRows(report, skip_bad_rows)
    table = _read(interactions, INTERACTION_COLUMNS, mapping, broken)
    report.read["rows"] = len(table)
    users, user_ids = enumerate_ids(table.texts("user"))
    catalogue = TrackColumns.build([]) if tracks is None else _catalogue(tracks, mapping, tag_separator, broken)
    _, played = enumerate_ids(table.texts("track"))
    undescribed = played[rows_of(played, catalogue.ids) < 0]
    if tracks is not None:
        report.read["tracks without a row in the track file"] = len(undescribed)
    catalogue = catalogue.concat(TrackColumns.build(undescribed))
    pairs = Interactions.build(
        users,
        rows_of(table.texts("track"), catalogue.ids),
        weights=table.numbers("weight") if "weight" in table.columns else None,
        timestamps=table.integers("timestamp") if "timestamp" in table.columns else None,
    )
    report.dropped["repeats of a user and a track, joined"] += len(table) - len(pairs)
    return assemble(interactions, tracks=catalogue, user_ids=user_ids, interactions=pairs, report=report)


def _checked_mapping(columns: Mapping[str, str]) -> Mapping[str, str]:
    known = [*INTERACTION_COLUMNS, *TRACK_COLUMNS]
    for key in columns:
        if key not in known:
            raise DataError(f"unknown key {key!r} in the column mapping; known keys: {', '.join(known)}")
    return columns


def _read(path: Path, wanted: Mapping[str, tuple[str, ...]], mapping: Mapping[str, str], broken: BrokenRows) -> Table:
    """Read those of the `wanted` columns that the file has, under their keys."""
    if path.suffix.lower() not in LAYOUTS:
        raise DataError(f"is of an unknown kind; known file suffixes: {', '.join(LAYOUTS)}", path=path)
    layout = LAYOUTS[path.suffix.lower()]
    header = column_names(path, layout)
    fields = {}
    for key, names in wanted.items():
        looked_for = (mapping[key],) if key in mapping else names
        column = next((name for name in looked_for if name in header), None)
        if column is not None:
            fields[key] = _field(key, column)
        elif key in mapping or key in _REQUIRED:
            message = f"has no column for {key!r}: looked for {', '.join(looked_for)}, found {', '.join(header)}"
            raise DataError(f"{message}; name it in the column mapping", path=path, line=None if layout is None else 1)
    table = read_table(path, tuple(fields.values()), layout=layout, broken=broken)
    return Table({key: table.columns[field.column] for key, field in fields.items()})


def _field(key: str, column: str) -> Field:
    if key in AUDIO_FEATURES:
        return audio_field(key, column=column)
    match key:
        case "weight":
            return Field(column, "number", minimum=0)
        case "timestamp":
            return Field(column, "time")
        case "explicit":
            return Field(column, "flag", required=False)
        case "release_year":
            return Field(column, "number", required=False, minimum=0, maximum=9999)
        case "duration_ms":
            return Field(column, "number", required=False, minimum=0, maximum=2**31 - 1)
        case "popularity":
            return Field(column, "number", required=False, minimum=0, maximum=1)
        case _:
            return Field(column, "text", required=key in _REQUIRED)


def _catalogue(path: Path, mapping: Mapping[str, str], tag_separator: str, broken: BrokenRows) -> TrackColumns:
    table = _read(path, TRACK_COLUMNS, mapping, broken)
    rows, ids = enumerate_ids(table.texts("id"))
    broken.report.read["rows of the track file"] = len(table)
    broken.report.dropped["repeated rows of the track file"] += len(table) - len(ids)
    first_row = np.unique(rows, return_index=True)[1]

    def texts(key: str) -> NDArray[np.object_] | None:
        return table.texts(key)[first_row] if key in table.columns else None

    def numbers(key: str) -> NDArray[np.float64]:
        return table.numbers(key)[first_row] if key in table.columns else np.full(len(ids), np.nan)

    tags = texts("tags")
    audio = np.stack([numbers(feature) for feature in AUDIO_FEATURES], axis=1).astype(np.float32)
    return TrackColumns.build(
        ids,
        titles=texts("title"),
        artists=texts("artist"),
        albums=texts("album"),
        tags=None if tags is None else TagSets.from_lists(text.split(tag_separator) for text in tags),
        audio=without_impossible_tempo(audio),
        release_years=np.nan_to_num(numbers("release_year")).astype(np.int16),
        explicit=table.flags("explicit")[first_row] if "explicit" in table.columns else None,
        durations_ms=np.nan_to_num(numbers("duration_ms")).astype(np.int32),
        popularity=numbers("popularity"),
    )
