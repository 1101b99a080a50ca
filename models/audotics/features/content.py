"""What the content embedding takes and gives: catalogue columns go in as three tensors, a vector a track comes out."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Embeddings of n tracks by their direction and their length.

    `vectors` float32 (n, d) are unit vectors: the nearer two are, the more alike the tracks. `lengths` float32 (n,),
    about 1 on average, say how much listening content alone foretells.
    """

    vectors: NDArray[np.float32]
    lengths: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class ContentEncoder:
    """Statistics of the training catalogue that turn any track, known or new, into model inputs."""

    scaler: AudioScaler
    tag_vocabulary: tuple[str, ...]
    artist_buckets: int

    @classmethod
    def fit(cls, tracks: TrackColumns, *, max_tags: int = 2048, artist_buckets: int = 16_384) -> ContentEncoder:
        """Measure `tracks`: audio statistics and the `max_tags` most frequent tags (ties in order of appearance)."""
        counts = tracks.tags.counts()
        order = [code for code in np.argsort(-counts, kind="stable")[:max_tags] if counts[code] >= 2]
        return cls(
            AudioScaler.fit(tracks.audio),
            tuple(tracks.tags.names[code] for code in order),
            artist_buckets,
        )

    def encode(self, tracks: TrackColumns) -> ContentInputs:
        """Each of a track's m tags is m^-¼. Bucket 0 stands for an unknown artist.

        So a track of many tags says more than one of few, but not as much more. Unit length and weights by rarity, as
        text has them, were tried: both find fewer of the tracks that nobody has heard.
        """
        tags = tracks.tags.matrix(self.tag_vocabulary).astype(np.float32)
        count = np.maximum(tags.sum(axis=1, keepdims=True), np.float32(1.0))
        return ContentInputs(
            audio=self.scaler.transform(tracks.audio),
            tags=tags / count ** np.float32(0.25),
            artist=artist_bucket(tracks.artists, self.artist_buckets),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "audio": self.scaler.to_json(),
            "tag_vocabulary": list(self.tag_vocabulary),
            "artist_buckets": self.artist_buckets,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ContentEncoder:
        return cls(AudioScaler.from_json(value["audio"]), tuple(value["tag_vocabulary"]), int(value["artist_buckets"]))


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
