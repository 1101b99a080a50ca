"""Track records and catalogue columns: what callers write becomes columns, a row becomes what they read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import UNKNOWN_FLAG, UNKNOWN_YEAR, TagSets, TrackColumns
from audotics.server.types import TrackRecord


def columns_of(records: Sequence[TrackRecord]) -> TrackColumns:
    """One row a record, in order. Nobody has played them yet."""
    audio = np.full((len(records), len(AUDIO_FEATURES)), np.nan, np.float32)
    for row, record in enumerate(records):
        if record.audio:
            audio[row] = [np.nan if value is None else value for value in record.audio]
    return TrackColumns.build(
        [record.track_id for record in records],
        titles=[record.title for record in records],
        artists=[record.artist for record in records],
        albums=[record.album for record in records],
        tags=TagSets.from_lists(record.tags for record in records),
        audio=audio,
        release_years=np.asarray([record.release_year or UNKNOWN_YEAR for record in records], np.int16),
        explicit=np.asarray([UNKNOWN_FLAG if r.explicit is None else r.explicit for r in records], np.int8),
        durations_ms=np.asarray([record.duration_ms or 0 for record in records], np.int32),
        popularity=np.asarray([np.nan if r.popularity is None else r.popularity for r in records], np.float32),
    )


def record_of(columns: TrackColumns, row: int) -> TrackRecord:
    """The record that `columns_of` made the row from, with tags lower-cased and numbers as they are stored."""
    known = ~np.isnan(columns.audio[row])
    audio = tuple(float(value) if k else None for value, k in zip(columns.audio[row], known, strict=True))
    popularity = float(columns.popularity[row])
    explicit = int(columns.explicit[row])
    return TrackRecord(
        track_id=columns.ids[row],
        title=columns.titles[row],
        artist=columns.artists[row],
        album=columns.albums[row],
        tags=tuple(columns.tags.row(row)),
        release_year=int(columns.release_years[row]) or None,
        explicit=None if explicit == UNKNOWN_FLAG else bool(explicit),
        duration_ms=int(columns.durations_ms[row]) or None,
        popularity=None if np.isnan(popularity) else popularity,
        audio=audio if known.any() else (),
    )
