"""The eight moods as weights on audio features: an audio matrix goes in, a score a mood comes out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES, AudioScaler
from audotics.features.rules import MOOD_WEIGHTS

MOODS: Final = tuple(MOOD_WEIGHTS)


def mood_weight_matrix() -> NDArray[np.float32]:
    """Return float32 (11, 8), each column scaled to unit length so that moods are on one scale."""
    matrix = np.zeros((len(AUDIO_FEATURES), len(MOODS)), np.float32)
    for column, mood in enumerate(MOODS):
        for feature, weight in MOOD_WEIGHTS[mood].items():
            matrix[AUDIO_FEATURES.index(feature), column] = weight
    matrix /= np.linalg.norm(matrix, axis=0)
    return matrix


def mood_scores(audio: NDArray[np.float32], scaler: AudioScaler) -> NDArray[np.float32]:
    """Return float32 (n, 8) in the order of MOODS: about mean 0 and spread 1, exactly 0 for a track without audio.

    `audio` is (n, 11) with NaN where unknown; an unknown feature adds nothing.
    """
    standardised = scaler.transform(audio)[:, : len(AUDIO_FEATURES)]
    return standardised @ mood_weight_matrix()
