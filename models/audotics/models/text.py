"""Text embedding: the words of a track's title, artist and tags go in, a unit vector comes out, in closed form.

TF-IDF, reduced by a truncated singular value decomposition (LSA, Deerwester et al. 1990). The sum of
the rows of a track's tokens in one table, idf · component each, is divided by its length; TF-IDF's own division by the
length of a row cancels out. A track that nobody has heard is embedded like any other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from audotics.features.text import TextEncoder, TokenBags, track_tokens
from audotics.features.tracks import TrackColumns

EMBEDDED_AT_ONCE = 8_192


@dataclass(frozen=True, slots=True)
class TextOptions:
    """Dimensions of the vectors; tokens that fewer than `min_tracks` tracks carry, or beyond the most frequent
    `max_tokens`, are left out."""

    embedding_size: int = 128
    min_tracks: int = 2
    max_tokens: int = 50_000


@dataclass(frozen=True, slots=True)
class TextModel:
    """Tokens by `encoder`, and `table` float32 (v, d) with a row for each token."""

    encoder: TextEncoder
    table: NDArray[np.float32]

    @property
    def record(self) -> dict[str, int]:
        """What there is to say of it in a run's record."""
        return {"tokens": len(self.encoder.vocabulary), "embedding_size": int(self.table.shape[1])}

    def vectors(self, tracks: TrackColumns) -> NDArray[np.float32]:
        """float32 (n, d): unit vectors of tracks, zeros for a track without a known token."""
        parts = [
            self.embed(self.encoder.encode(tracks.take(np.arange(start, min(start + EMBEDDED_AT_ONCE, len(tracks))))))
            for start in range(0, len(tracks), EMBEDDED_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.table.shape[1]), np.float32)

    def embed(self, bags: TokenBags) -> NDArray[np.float32]:
        """float32 (n, d): unit vectors of bags of tokens."""
        counts = sparse.csr_matrix(
            (np.ones(len(bags.codes), np.float32), bags.codes, bags.offsets), shape=(len(bags), len(self.table))
        )
        sums = np.asarray(counts @ self.table, np.float32)
        return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)

    def save(self, folder: Path) -> None:
        (folder / "encoder.json").write_text(json.dumps(self.encoder.to_json(), ensure_ascii=False), "utf-8")
        np.save(folder / "table.npy", self.table)

    @classmethod
    def load(cls, folder: Path) -> TextModel:
        encoder = TextEncoder.from_json(json.loads((folder / "encoder.json").read_text("utf-8")))
        return cls(encoder, np.load(folder / "table.npy", allow_pickle=False))


def fit_encoder(tracks: TrackColumns, options: TextOptions) -> tuple[TextEncoder, sparse.csr_matrix]:
    """The vocabulary of `tracks` with its TF-IDF, and that of the tracks themselves, float64 (n, v).

    Raises ValueError when no token is left.
    """
    vectorizer = TfidfVectorizer(
        analyzer=_as_they_are, min_df=min(options.min_tracks, max(1, len(tracks))), max_features=options.max_tokens
    )
    matrix = vectorizer.fit_transform(track_tokens(tracks))
    return TextEncoder(tuple(vectorizer.get_feature_names_out().tolist()), vectorizer.idf_), matrix


def fit_table(encoder: TextEncoder, matrix: sparse.csr_matrix, *, size: int, seed: int) -> NDArray[np.float32]:
    """float32 (v, d): idf · component of each token. d is `size`, or what the matrix has room for."""
    size = min(size, *matrix.shape)
    svd = TruncatedSVD(size, random_state=seed).fit(matrix)
    table: NDArray[np.float32] = (encoder.idf[:, None] * svd.components_.T).astype(np.float32)
    return table


def _as_they_are(tokens: list[str]) -> list[str]:
    return tokens
