"""Descriptors: columns, units, and what is unknown."""

from __future__ import annotations

import numpy as np

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.descriptors import DESCRIPTORS, track_descriptors
from audotics.features.tracks import TrackColumns


def test_columns_are_the_audio_features_and_what_else_a_catalogue_knows() -> None:
    audio = np.arange(11, dtype=np.float32)[None]
    tracks = TrackColumns.build(
        ["a"],
        audio=audio,
        durations_ms=np.asarray([1234]),
        popularity=np.asarray([0.5]),
        release_years=np.asarray([1999]),
    )
    table = track_descriptors(tracks)

    assert table.dtype == np.float32
    assert dict(zip(DESCRIPTORS, table[0].tolist(), strict=True)) == {
        **dict(zip(AUDIO_FEATURES, range(11), strict=True)),
        "duration_ms": 1234,
        "popularity": 0.5,
        "release_year": 1999,
    }


def test_what_a_catalogue_does_not_know_is_nan() -> None:
    assert np.isnan(track_descriptors(TrackColumns.build(["a", "b"]))).all()
    assert track_descriptors(TrackColumns.build([])).shape == (0, 14)
