"""Side features of the deep model: catalogue columns go in, one row of numbers a track comes out.

They are raw: filling holes, standardisation, selection and projection are the model's own, and travel in its graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TrackColumns


@dataclass(frozen=True, slots=True)
class SideFeatures:
    """The columns: audio, whether there is audio, and one for each of the tags."""

    tag_vocabulary: tuple[str, ...]

    @classmethod
    def fit(cls, tracks: TrackColumns, *, max_tags: int = 512) -> SideFeatures:
        """Take the `max_tags` most frequent tags that two of `tracks` share (ties in order of appearance)."""
        counts = tracks.tags.counts()
        order = np.argsort(-counts, kind="stable")[:max_tags]
        return cls(tuple(tracks.tags.names[code] for code in order if counts[code] >= 2))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return (*AUDIO_FEATURES, "audio known", *(f"tag {name}" for name in self.tag_vocabulary))

    def encode(self, tracks: TrackColumns) -> NDArray[np.float32]:
        """float32 (n, columns): audio NaN where unknown, the rest 0 or 1."""
        known = ~np.isnan(tracks.audio).all(axis=1, keepdims=True)
        return np.concatenate([tracks.audio, known, tracks.tags.matrix(self.tag_vocabulary)], axis=1, dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        return {"tag_vocabulary": list(self.tag_vocabulary)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SideFeatures:
        return cls(tuple(value["tag_vocabulary"]))
