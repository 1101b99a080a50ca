"""Descriptors of a track for the classifiers: columns of the catalogue go in, a table with holes comes out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import UNKNOWN_YEAR, TrackColumns

DESCRIPTORS: Final = (*AUDIO_FEATURES, "duration_ms", "popularity", "release_year")
"""Column order: the audio features, milliseconds, 0..1 as the source gives it, and a year."""


def track_descriptors(tracks: TrackColumns) -> NDArray[np.float32]:
    """float32 (n, 14) in the order of DESCRIPTORS, NaN where unknown."""
    durations = np.where(tracks.durations_ms > 0, tracks.durations_ms, np.nan)
    years = np.where(tracks.release_years != UNKNOWN_YEAR, tracks.release_years, np.nan)
    return np.column_stack([tracks.audio, durations, tracks.popularity, years]).astype(np.float32)
