"""Inputs of the content embedding: catalogue columns go in, the three input tensors come out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AudioScaler
from audotics.features.tracks import TrackColumns


@dataclass(frozen=True, slots=True)
class ContentInputs:
    """audio float32 (n, 22), tags float32 (n, len(vocabulary)), artist int64 (n,) in [0, artist_buckets)."""

    audio: NDArray[np.float32]
    tags: NDArray[np.float32]
    artist: NDArray[np.int64]

    def feeds(self) -> dict[str, NDArray[Any]]:
        """Keyed by the model's input names."""
        return {"audio": self.audio, "tags": self.tags, "artist": self.artist}

    def __len__(self) -> int:
        return len(self.artist)


@dataclass(frozen=True, slots=True)
class ContentEncoder:
    """Statistics of the training catalogue that turn any track, known or new, into model inputs.

    `tag_weights`, one a name of `tag_vocabulary`, say how much a tag tells: log(tracks / tracks that carry it).
    """

    scaler: AudioScaler
    tag_vocabulary: tuple[str, ...]
    tag_weights: tuple[float, ...]
    artist_buckets: int

    @classmethod
    def fit(cls, tracks: TrackColumns, *, max_tags: int = 2048, artist_buckets: int = 16_384) -> ContentEncoder:
        """Measure `tracks`: audio statistics and the `max_tags` most frequent tags (ties in order of appearance)."""
        counts = tracks.tags.counts()
        order = [code for code in np.argsort(-counts, kind="stable")[:max_tags] if counts[code] >= 2]
        return cls(
            AudioScaler.fit(tracks.audio),
            tuple(tracks.tags.names[code] for code in order),
            # A tag on every track would weigh nothing, and a track that has no other would look like one without tags.
            tuple(round(float(np.log((1 + len(tracks)) / counts[code])), 6) for code in order),
            artist_buckets,
        )

    def encode(self, tracks: TrackColumns) -> ContentInputs:
        """Tags are weighed and scaled to unit length a track. Bucket 0 stands for an unknown artist."""
        tags = tracks.tags.matrix(self.tag_vocabulary) * np.asarray(self.tag_weights, np.float32)
        norms = np.linalg.norm(tags, axis=1, keepdims=True)
        return ContentInputs(
            audio=self.scaler.transform(tracks.audio),
            tags=(tags / np.where(norms > 0, norms, 1.0)).astype(np.float32),
            artist=artist_bucket(tracks.artists, self.artist_buckets),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "audio": self.scaler.to_json(),
            "tag_vocabulary": list(self.tag_vocabulary),
            "tag_weights": list(self.tag_weights),
            "artist_buckets": self.artist_buckets,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ContentEncoder:
        """Raises ValueError when there is not one weight a tag."""
        vocabulary, weights = tuple(value["tag_vocabulary"]), tuple(float(weight) for weight in value["tag_weights"])
        if len(vocabulary) != len(weights):
            raise ValueError(f"{len(vocabulary)} tags have {len(weights)} weights")
        return cls(AudioScaler.from_json(value["audio"]), vocabulary, weights, int(value["artist_buckets"]))


def artist_bucket(artists: Sequence[str] | NDArray[np.object_], buckets: int) -> NDArray[np.int64]:
    """Hash each artist into 1 .. buckets-1 with CRC-32 of the lower-cased text; the empty text is 0."""
    cache: dict[str, int] = {"": 0}
    result = np.empty(len(artists), np.int64)
    for row, artist in enumerate(artists):
        bucket = cache.get(artist)
        if bucket is None:
            bucket = cache[artist] = 1 + zlib.crc32(artist.strip().lower().encode()) % (buckets - 1)
        result[row] = bucket
    return result
