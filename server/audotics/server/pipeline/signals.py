"""What single models say about rows before the neural ones are asked: a taste and rows go in, scores come out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audotics.features.content import Embeddings
from audotics.features.hybrid import (
    ArtistMatches,
    HybridInputs,
    artist_matches,
    content_scores,
    context_scores,
    hybrid_inputs,
)
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Context


@dataclass(frozen=True, slots=True, eq=False)
class RowSignals:
    """Scores of n rows for one listener, float32 (n,) each; None where a model has nothing to say at all."""

    collaborative: NDArray[np.float32] | None
    content: NDArray[np.float32] | None
    context: NDArray[np.float32] | None
    popularity: NDArray[np.float32]
    cold: NDArray[np.bool_]
    history_length: int
    sequence: NDArray[np.float32] | None
    artists: ArtistMatches

    @classmethod
    def measure(
        cls,
        snapshot: Snapshot,
        taste: Taste,
        context: Context,
        *,
        rows: NDArray[np.int64],
        embeddings: NDArray[np.float32] | None,
    ) -> RowSignals:
        """Score catalogue `rows` (n,), whose content embeddings (n, d) are `embeddings`."""
        catalog = snapshot.catalog
        collaborative = content = suitable = sequence = None
        if snapshot.collaborative is not None and taste.user_vector is not None:
            collaborative = snapshot.collaborative.scores(taste.user_vector, rows)
        if snapshot.sequence is not None and taste.next_tracks is not None:
            sequence = snapshot.sequence.scores(taste.next_tracks, rows)
        if snapshot.content is not None and embeddings is not None and taste.sounds is not None and len(taste.sounds):
            content = content_scores(Embeddings(embeddings, snapshot.content.lengths_of(rows)), taste.sounds)
        if context != Context():
            suitable = context_scores(
                catalog.moods.take(rows, axis=0),
                catalog.genre_fits.take(rows, axis=0),
                mood=context.mood,
                wanted_genres=context.genres,
                activity=context.activity,
                day_part=context.day_part,
            )
        return cls(
            collaborative=collaborative,
            content=content,
            context=suitable,
            popularity=catalog.signals.popularity.take(rows),
            cold=catalog.signals.cold.take(rows),
            history_length=taste.history_length,
            sequence=sequence,
            artists=artist_matches(catalog.artist_codes.take(rows), catalog.artist_codes.take(taste.history)),
        )

    def __len__(self) -> int:
        return len(self.popularity)

    def part(self, start: int, end: int) -> RowSignals:
        """Rows start .. end-1."""

        def cut(column: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
            return None if column is None else column[start:end]

        return RowSignals(
            collaborative=cut(self.collaborative),
            content=cut(self.content),
            context=cut(self.context),
            popularity=self.popularity[start:end],
            cold=self.cold[start:end],
            history_length=self.history_length,
            sequence=cut(self.sequence),
            artists=ArtistMatches(self.artists.heard[start:end], self.artists.last[start:end]),
        )

    def inputs(self, ncf: NDArray[np.float32] | None) -> HybridInputs:
        """The gating network's inputs, with the NCF logits (n,) of the same rows where there are any."""
        return hybrid_inputs(
            collaborative=self.collaborative,
            ncf=ncf,
            content=self.content,
            context=self.context,
            popularity=self.popularity,
            cold_tracks=self.cold,
            history_length=self.history_length,
            sequence=self.sequence,
            artists=self.artists,
        )
