"""Models in service, each in terms of the catalogue's rows: histories and tracks go in, vectors and scores come out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.exact import LARGEST
from audotics.features.content import ContentEncoder, Embeddings
from audotics.features.history import pad_histories
from audotics.features.hybrid import RECENT_TRACKS, HybridInputs
from audotics.features.tracks import TrackColumns
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.rows import UNKNOWN, RowMap
from audotics.server.retrieval.vectors import VectorIndex
from audotics.server.runtime.model import InferenceError, Model

_LOG: Final = logging.getLogger(__name__)
_EMBED_ROWS: Final = 1024


@dataclass(frozen=True, slots=True, eq=False)
class CollaborativePart:
    """Factors of listeners and tracks."""

    version: int
    model: Model
    index: VectorIndex
    rows: RowMap

    def user_vector(self, history: NDArray[np.int64], *, deadline: float | None = None) -> NDArray[np.float32] | None:
        """float32 (d,) for the listener of the catalogue rows `history`; None when the model knows none of them.

        `deadline` is as in `Model.run`, here and below. Raises DeadlineError, InferenceError.
        """
        heard = self.rows.to_model(history)
        heard = heard[heard >= 0]
        if not len(heard):
            return None
        feeds = {"history": pad_histories([heard])}
        vector: NDArray[np.float32] = self.model.run(feeds, ["user_vector"], deadline=deadline)[0][0]
        return vector

    def nearest(
        self, user_vector: NDArray[np.float32], k: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Catalogue rows of the k tracks with the highest scores, best first; fewer where the model has fewer.

        `allowed`, bool over the catalogue, names those that may be found.
        """
        shown = None if allowed is None else self.rows.mask(allowed, self.index.size)
        rows = self.rows.to_catalog(self.index.search(user_vector[None], k, allowed=shown)[1][0])
        return rows[rows >= 0]

    def scores(self, user_vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 (n,) for catalogue `rows` (n,), NaN for a track that the model does not know."""
        model_rows = self.rows.to_model(rows)
        scores = self.index.vectors(np.maximum(model_rows, 0)) @ user_vector
        scores[model_rows < 0] = np.nan
        return scores

    def with_catalog(self, catalog: Catalog) -> CollaborativePart:
        """The part after changes to the catalogue that it is linked to."""
        rows = self.rows.grown(len(catalog))
        return replace(self, rows=rows, index=self.index.with_deleted(rows.hidden(catalog.deleted)))


@dataclass(frozen=True, slots=True, eq=False)
class ContentPart:
    """Embeddings of how tracks sound: the index holds unit vectors, `lengths` float32 (m,) how long they were."""

    version: int
    model: Model
    index: VectorIndex
    lengths: NDArray[np.float32]
    rows: RowMap
    encoder: ContentEncoder

    def embed(self, tracks: TrackColumns, *, deadline: float | None = None) -> Embeddings:
        """Any tracks, known or not. Raises DeadlineError, InferenceError."""
        vectors, lengths = [np.empty((0, self.index.dimension), np.float32)], [np.empty(0, np.float32)]
        for start in range(0, len(tracks), _EMBED_ROWS):
            rows = np.arange(start, min(start + _EMBED_ROWS, len(tracks)))
            feeds = self.encoder.encode(tracks.take(rows)).feeds()
            found = self.model.run(feeds, ["embedding", "length"], deadline=deadline)
            if found[0].shape != (len(rows), self.index.dimension):
                raise InferenceError(
                    f"content/{self.version}: embeddings of {len(rows)} tracks have the shape {found[0].shape}, its "
                    f"index holds vectors of {self.index.dimension}; export it again"
                )
            vectors.append(found[0])
            lengths.append(found[1])
        return Embeddings(np.concatenate(vectors), np.concatenate(lengths))

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Unit vectors (n, d) of catalogue `rows` (n,). The part has one for every track of its catalogue."""
        return self.index.vectors(self.rows.to_model(rows))

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 (n,) for catalogue `rows` (n,)."""
        return self.lengths.take(self.rows.to_model(rows))

    def nearest(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and catalogue rows (q, k) of the k tracks nearest to each query, best first, UNKNOWN at the end."""
        scores, rows = self.index.search(queries, k)
        return scores, self.rows.to_catalog(rows)

    def lacking(self, catalog: Catalog) -> NDArray[np.int64]:
        """Rows of `catalog` whose embedding is missing or older than the row's columns, ascending."""
        unknown = self.rows.grown(len(catalog)).to_model(np.arange(len(catalog))) == UNKNOWN
        return np.flatnonzero(unknown | catalog.changed)

    def with_catalog(self, catalog: Catalog, changed: NDArray[np.int64]) -> ContentPart:
        """The part after changes to the catalogue that it is linked to; `changed` are the rows to embed, ascending.

        Raises InferenceError.
        """
        rows, index, lengths = self.rows.grown(len(catalog)), self.index, self.lengths
        if len(changed):
            rows, embeddings = rows.with_rows(changed), self.embed(catalog.columns.take(changed))
            places = rows.to_model(changed)
            index = index.with_vectors(places, self._searchable(embeddings.vectors))
            lengths = np.concatenate([lengths, np.zeros(index.size - len(lengths), np.float32)])
            lengths[places] = embeddings.lengths
        return replace(self, rows=rows, index=index.with_deleted(rows.hidden(catalog.deleted)), lengths=lengths)

    def _searchable(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """`vectors` (n, d); one that cannot be compared is zero instead, near to nothing, so that others are served."""
        fits = (np.abs(vectors) <= LARGEST).all(axis=1, keepdims=True)
        if fits.all():
            return vectors
        _LOG.warning("content/%d has no embedding for %d tracks", self.version, np.count_nonzero(~fits))
        return np.where(fits, vectors, np.float32(0))


@dataclass(frozen=True, slots=True, eq=False)
class NcfPart:
    """Neural collaborative filtering: one logit for a listener and a track."""

    version: int
    model: Model
    rows: RowMap

    def pairs(self, histories: Sequence[NDArray[np.int64]], tracks: Sequence[NDArray[np.int64]]) -> NcfPairs:
        """Each listener, by a history in the model's rows, with each of their tracks, in the model's rows too."""
        lengths = [len(rows) for rows in tracks]
        every = np.concatenate(tracks) if len(tracks) > 1 else tracks[0]
        feeds = {
            "history": pad_histories(histories),
            "user_index": np.repeat(np.arange(len(histories)), lengths),
            "track": np.maximum(every, 0),
        }
        strangers = [number for number, history in enumerate(histories) if not len(history)]
        return NcfPairs(self.model, feeds, every, list(accumulate(lengths)), strangers)

    def with_catalog(self, catalog: Catalog) -> NcfPart:
        """The part after changes to the catalogue that it is linked to."""
        return replace(self, rows=self.rows.grown(len(catalog)))


@dataclass(frozen=True, slots=True, eq=False)
class NcfPairs:
    """Listeners with tracks, put together for one run of the model."""

    model: Model
    feeds: Mapping[str, NDArray[Any]]
    tracks: NDArray[np.int64]
    """Rows of the model, of all listeners in order."""
    ends: Sequence[int]
    """Where in `tracks` each listener's end."""
    strangers: Sequence[int]
    """Listeners without history."""

    def logits(self, *, deadline: float | None = None) -> NDArray[np.float32]:
        """Run the model. `deadline` is as in `Model.run`. Raises DeadlineError, InferenceError."""
        logits: NDArray[np.float32] = self.model.run(self.feeds, ["logit"], deadline=deadline)[0]
        return logits

    def part(self, logits: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The logits of each listener's tracks.

        NaN where the track is UNKNOWN, and everywhere for a listener without history.
        """
        logits[self.tracks == UNKNOWN] = np.nan
        parts = [logits[start:end] for start, end in zip([0, *self.ends[:-1]], self.ends, strict=True)]
        for stranger in self.strangers:
            parts[stranger].fill(np.nan)
        return parts


@dataclass(frozen=True, slots=True, eq=False)
class SequencePart:
    """What is likely to come next."""

    version: int
    model: Model
    rows: RowMap

    def next_tracks(self, history: NDArray[np.int64], *, deadline: float | None = None) -> NDArray[np.float32] | None:
        """float32 (m,), a score for each of the model's rows, after catalogue rows; None when nothing ever came next.

        Raises DeadlineError, InferenceError.
        """
        heard = self.rows.to_model(history)
        heard = heard[heard >= 0][-RECENT_TRACKS:]
        if not len(heard):
            return None
        feeds = {"history": heard[None]}
        scores: NDArray[np.float32] = self.model.run(feeds, ["scores"], deadline=deadline)[0][0]
        return scores if scores.any() else None

    def likeliest(self, next_tracks: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """Catalogue rows of the k tracks with the highest scores, in no order, without those that never came next."""
        k = min(k, len(next_tracks))
        best = np.argpartition(-next_tracks, k - 1)[:k]
        rows = self.rows.to_catalog(best[next_tracks[best] > 0])
        return rows[rows >= 0]

    def scores(self, next_tracks: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 (n,) for catalogue `rows` (n,), NaN for a track that the model does not know."""
        model_rows = self.rows.to_model(rows)
        return np.where(model_rows >= 0, next_tracks.take(np.maximum(model_rows, 0)), np.float32(np.nan))

    def with_catalog(self, catalog: Catalog) -> SequencePart:
        """The part after changes to the catalogue that it is linked to."""
        return replace(self, rows=self.rows.grown(len(catalog)))


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """What the hybrid made of n rows, float32: score is the sum of weights * components."""

    weights: NDArray[np.float32]  # (n, 6)
    score: NDArray[np.float32]  # (n,)
    confidence: NDArray[np.float32]  # (n,), 0..1

    def part(self, start: int, end: int) -> Weighing:
        """Rows start .. end-1."""
        return Weighing(self.weights[start:end], self.score[start:end], self.confidence[start:end])

    @classmethod
    def join(cls, parts: Sequence[Weighing]) -> Weighing:
        """The rows of all parts, in order."""
        return cls(
            np.concatenate([part.weights for part in parts]),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.confidence for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class HybridPart:
    """The gating network: how much each component counts for a listener and a track."""

    version: int
    model: Model

    def weigh(self, inputs: HybridInputs, *, deadline: float | None = None) -> Weighing:
        """Weigh the components of n rows. Raises DeadlineError, InferenceError."""
        outputs = ("weights", "score", "confidence")
        weights, score, confidence = self.model.run(inputs.feeds(), outputs, deadline=deadline)
        return Weighing(weights, score, confidence)
