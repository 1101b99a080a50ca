"""Spotify audio features of a source: its columns go in, an audio matrix in the contract's order comes out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audotics.data.loaders.fields import Field
from audotics.data.loaders.table import Table
from audotics.features.audio import AUDIO_FEATURES, AUDIO_RANGES


def audio_fields() -> tuple[Field, ...]:
    """One optional field a feature, named and bounded as in the feature contract."""
    return tuple(audio_field(feature, column=feature) for feature in AUDIO_FEATURES)


def audio_field(feature: str, *, column: str) -> Field:
    """The field of one feature that a file keeps in `column`."""
    minimum, maximum = AUDIO_RANGES[feature]
    return Field(column, "number", required=False, minimum=minimum, maximum=maximum)


def audio_matrix(table: Table) -> NDArray[np.float32]:
    """Return float32 (n, 11), NaN where unknown. The table has the columns of `audio_fields`."""
    audio = np.stack([table.numbers(feature) for feature in AUDIO_FEATURES], axis=1).astype(np.float32)
    return without_impossible_tempo(audio)


def without_impossible_tempo(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spotify writes tempo 0 where it found no beat; that is unknown, not slow."""
    tempo = AUDIO_FEATURES.index("tempo")
    audio[:, tempo] = np.where(audio[:, tempo] > 0, audio[:, tempo], np.nan)
    return audio
