"""Audio features: a table with holes goes in, standardised columns and their presence mask come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

AUDIO_FEATURES: Final = (
    "danceability",
    "energy",
    "key",
    "loudness",
    "mode",
    "speechiness",
    "acousticness",
    "instrumentalness",
    "liveness",
    "valence",
    "tempo",
)
"""Column order of every audio matrix. Key is a pitch class 0..11, loudness in dB, tempo in BPM, the rest 0..1."""

AUDIO_RANGES: Final[dict[str, tuple[float, float]]] = {
    "danceability": (0.0, 1.0),
    "energy": (0.0, 1.0),
    "key": (0.0, 11.0),
    "loudness": (-100.0, 20.0),
    "mode": (0.0, 1.0),
    "speechiness": (0.0, 1.0),
    "acousticness": (0.0, 1.0),
    "instrumentalness": (0.0, 1.0),
    "liveness": (0.0, 1.0),
    "valence": (0.0, 1.0),
    "tempo": (0.0, 500.0),
}
"""What counts as a valid value, both ends included."""


@dataclass(frozen=True, slots=True)
class AudioScaler:
    """Column means and standard deviations of the known values, float32 of shape (11,)."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def fit(cls, audio: NDArray[np.float32]) -> AudioScaler:
        """Measure `audio` (n, 11), NaN where unknown. A column with no spread gets std 1, one with no value mean 0."""
        known = ~np.isnan(audio)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, audio, 0.0).sum(axis=0, dtype=np.float64) / count
        variance = np.where(known, audio - mean, 0.0).astype(np.float64)
        std = np.sqrt((variance**2).sum(axis=0) / count)
        return cls(mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32))

    def transform(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 (n, 22): standardised values clipped to ±5, 0 where unknown, then 1 or 0 for known or not."""
        known = ~np.isnan(audio)
        scaled = np.clip((np.where(known, audio, self.mean) - self.mean) / self.std, -5.0, 5.0)
        return np.concatenate([scaled, known], axis=1).astype(np.float32)

    def to_json(self) -> dict[str, list[float]]:
        return {"mean": [float(x) for x in self.mean], "std": [float(x) for x in self.std]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AudioScaler:
        return cls(np.asarray(value["mean"], np.float32), np.asarray(value["std"], np.float32))
