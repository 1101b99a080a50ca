"""Tracks with a mood (`data_moods.csv`): a CSV file of Spotify tracks goes in, tracks of four moods come out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import LoadReport
from audotics.data.labelled import LabelledTracks
from audotics.data.loaders.audio import audio_fields, without_impossible_tempo
from audotics.data.loaders.broken_rows import BrokenRows
from audotics.data.loaders.fields import Field
from audotics.data.loaders.lines import TextLayout
from audotics.data.loaders.table import read_table
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.descriptors import DESCRIPTORS, track_descriptors
from audotics.features.tracks import UNKNOWN_YEAR, TrackColumns

MOOD_FILE: Final = "data_moods.csv"

_LACKING: Final = "mode"
"""The one audio feature that the file does not have."""


def load_mood(path: Path, *, skip_bad_rows: bool = False) -> LabelledTracks:
    """Read a CSV file with one row a track, or a folder with `data_moods.csv`; features are DESCRIPTORS.

    Raises DataError.
    """
    report = LoadReport(str(path))
    file = path / MOOD_FILE if path.is_dir() else path
    fields = (
        Field("id", "text"),
        Field("mood", "text"),
        Field("release_date", "text", required=False),
        Field("length", "number", required=False, minimum=0, maximum=2**31 - 1),
        Field("popularity", "number", required=False, minimum=0, maximum=100),
        *(field for field in audio_fields() if field.column != _LACKING),
    )
    layout = TextLayout(",", header=True, quoted=True)
    table = read_table(file, fields, layout=layout, broken=BrokenRows(report, skip_bad_rows))
    report.read["rows"] = len(table)
    unknown = np.full(len(table), np.nan)
    audio = [unknown if name == _LACKING else table.numbers(name) for name in AUDIO_FEATURES]
    tracks = TrackColumns.build(
        table.texts("id"),
        audio=without_impossible_tempo(np.stack(audio, axis=1).astype(np.float32)),
        durations_ms=np.nan_to_num(table.numbers("length")).astype(np.int32),
        popularity=table.numbers("popularity") / 100.0,
        release_years=_years(table.texts("release_date")),
    )
    return LabelledTracks.build(
        path.resolve().name,
        ids=tracks.ids,
        feature_names=DESCRIPTORS,
        x=track_descriptors(tracks),
        classes=table.texts("mood"),
        report=report,
    )


def _years(dates: NDArray[np.object_]) -> NDArray[np.int16]:
    return np.asarray([int(date[:4]) if date[:4].isdecimal() else UNKNOWN_YEAR for date in dates], np.int16)
