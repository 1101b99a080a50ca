"""Tracks of plain tables: checked columns under the keys of TRACK_COLUMNS go in, catalogue columns come out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import LoadReport
from audotics.data.loaders.audio import without_impossible_tempo
from audotics.data.loaders.ids import enumerate_ids
from audotics.data.loaders.table import Table
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TagSets, TrackColumns


def catalogue_of(table: Table, *, tag_separator: str, report: LoadReport) -> TrackColumns:
    """One track an id, described by its first row; what the table lacks is unknown. Counts rows and repeats."""
    rows, ids = enumerate_ids(table.texts("id"))
    report.read["rows of the track table"] = len(table)
    report.dropped["repeated rows of the track table"] += len(table) - len(ids)
    first_row = np.unique(rows, return_index=True)[1]

    def texts(key: str) -> NDArray[np.object_] | None:
        return table.texts(key)[first_row] if key in table.columns else None

    def numbers(key: str) -> NDArray[np.float64]:
        return table.numbers(key)[first_row] if key in table.columns else np.full(len(ids), np.nan)

    audio = np.stack([numbers(feature) for feature in AUDIO_FEATURES], axis=1).astype(np.float32)
    return TrackColumns.build(
        ids,
        titles=texts("title"),
        artists=texts("artist"),
        albums=texts("album"),
        tags=TagSets.from_lists(_tags([texts("tags"), texts("genres")], len(ids), tag_separator)),
        audio=without_impossible_tempo(audio),
        release_years=np.nan_to_num(numbers("release_year")).astype(np.int16),
        explicit=table.flags("explicit")[first_row] if "explicit" in table.columns else None,
        durations_ms=np.nan_to_num(numbers("duration_ms")).astype(np.int32),
        popularity=numbers("popularity"),
    )


def _tags(columns: list[NDArray[np.object_] | None], n_tracks: int, separator: str) -> Iterator[list[str]]:
    """Yield the tags of each track, from all the columns that there are."""
    present = [column for column in columns if column is not None]
    for row in range(n_tracks):
        yield [tag for column in present for tag in column[row].split(separator)]
