"""The eight moods as weights on audio features: an audio matrix goes in, a score a mood comes out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES, AudioScaler

MOODS: Final = ("energetic", "chill", "happy", "melancholic", "party", "focused", "romantic", "workout")

MOOD_WEIGHTS: Final[dict[str, dict[str, float]]] = {
    "energetic": {"energy": 0.9, "danceability": 0.5, "tempo": 0.4, "loudness": 0.3, "acousticness": -0.4},
    "chill": {"energy": -0.8, "acousticness": 0.6, "loudness": -0.3, "tempo": -0.3, "speechiness": -0.2},
    "happy": {"valence": 1.0, "danceability": 0.4, "energy": 0.3, "mode": 0.2},
    "melancholic": {"valence": -0.9, "energy": -0.5, "acousticness": 0.4, "mode": -0.2, "danceability": -0.2},
    "party": {"danceability": 0.9, "energy": 0.6, "valence": 0.4, "loudness": 0.3, "acousticness": -0.3},
    "focused": {"instrumentalness": 0.9, "speechiness": -0.6, "energy": -0.3, "liveness": -0.3, "loudness": -0.2},
    "romantic": {"acousticness": 0.5, "valence": 0.3, "energy": -0.4, "speechiness": -0.4, "tempo": -0.3, "mode": 0.2},
    "workout": {"energy": 0.8, "tempo": 0.7, "danceability": 0.4, "loudness": 0.3, "acousticness": -0.5},
}
"""Weights on standardised features. Signs follow the product's rule table; sizes are hand-set and not learned."""


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
