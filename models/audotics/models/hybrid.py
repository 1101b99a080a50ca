"""The hybrid: a gating network that weighs the other models' scores by what is known of listener, track and situation.

    hidden  = relu(W1·[tanh(components / 2 scale), available, context] + b1)
    weights = softplus(W2·hidden + b2) / scale · available
    score   = Σ weights · components
    confidence = sigmoid(calibration · [score, history_length, 1])

`scale` is the spread of each component over the training candidates. Weights are never negative, so a contribution has
the sign of what its model said; they see scores squashed, so that an extreme one cannot blow them up. The calibration
is Platt's (1999), fitted apart on listeners that the weights have not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audotics.features.audio import AudioScaler
from audotics.features.content import Embeddings
from audotics.features.genres import genre_fits, genre_matrix
from audotics.features.history import MAX_HISTORY
from audotics.features.hybrid import (
    COMPONENTS,
    CONTEXT_FEATURES,
    ArtistMatches,
    HybridInputs,
    artist_matches,
    content_scores,
    context_scores,
    hybrid_inputs,
    popularity_scores,
)
from audotics.features.moods import mood_scores
from audotics.features.tracks import TrackColumns
from audotics.models.collaborative import CollaborativeModel
from audotics.models.ials import IalsModel
from audotics.models.ncf import Ncf
from audotics.models.neighbours import NeighboursModel
from audotics.models.nmf import NmfModel
from audotics.models.sequence import SequenceModel

LEARNT_FROM_LISTENING = ("collaborative", "ncf", "sequence")
"""Components that know nothing of a track before somebody has heard it."""


@dataclass(frozen=True, slots=True)
class HybridOptions:
    """Hyper-parameters of training."""

    hidden: int = 64
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 0.01
    averaging: float = 0.99
    candidates: int = 160
    listeners: int = 10_000


class Gate(nn.Module):
    """The gating network with its calibration."""

    scale: Tensor
    calibration: Tensor

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(2 * len(COMPONENTS) + len(CONTEXT_FEATURES), hidden)
        self.second = nn.Linear(hidden, len(COMPONENTS))
        self.register_buffer("scale", torch.ones(len(COMPONENTS)))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0, 0.0]))

    def forward(self, components: Tensor, available: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (…, 6), score (…) and confidence (…) of rows (…, 6)."""
        inputs = torch.cat([torch.tanh(components / (2 * self.scale)), available, context], dim=-1)
        raw = nn.functional.softplus(self.second(torch.relu(self.first(inputs))))
        weights = raw / self.scale * available
        score = (weights * components).sum(-1)
        logit = self.calibration[0] * score + self.calibration[1] * context[..., 0] + self.calibration[2]
        return weights, score, torch.sigmoid(logit)

    def save(self, folder: Path) -> None:
        torch.save(self.state_dict(), folder / "model.pt")

    @classmethod
    def load(cls, folder: Path) -> Gate:
        state = torch.load(folder / "model.pt", weights_only=True)
        gate = cls(state["first.weight"].shape[0])
        gate.load_state_dict(state)
        return gate.eval()

    @torch.no_grad()
    def rank(self, inputs: HybridInputs) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Weights (n, 6), scores (n,) and confidences (n,)."""
        weights, score, confidence = self(
            torch.from_numpy(inputs.components), torch.from_numpy(inputs.available), torch.from_numpy(inputs.context)
        )
        return weights.numpy(), score.numpy(), confidence.numpy()


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The models that the hybrid weighs, over the same n tracks; None where there is none."""

    collaborative: CollaborativeModel | IalsModel | NmfModel | NeighboursModel | None
    ncf: Ncf | None
    content: Embeddings | None
    moods: NDArray[np.float32]
    genres: NDArray[np.bool_]
    genre_fits: NDArray[np.float32]
    popularity: NDArray[np.float32]
    cold: NDArray[np.bool_]
    artists: NDArray[np.int32]  # codes (n,), -1 where unknown
    sequence: SequenceModel | None = None

    @classmethod
    def build(
        cls,
        tracks: TrackColumns,
        *,
        scaler: AudioScaler,
        collaborative: CollaborativeModel | IalsModel | NmfModel | NeighboursModel | None,
        ncf: Ncf | None,
        content: Embeddings | None,
        sequence: SequenceModel | None = None,
    ) -> Ensemble:
        """`tracks` are the models' tracks, with `plays` counted on the interactions that they were trained on.

        `scaler` is that of the whole catalogue, by which the server scores moods too.
        """
        genres = genre_matrix(tracks.tags)
        return cls(
            collaborative,
            ncf,
            content,
            mood_scores(tracks.audio, scaler),
            genres,
            genre_fits(genres, tracks.audio, scaler),
            popularity_scores(tracks.plays),
            tracks.plays == 0,
            artist_codes(tracks.artists),
            sequence,
        )

    def inputs(self, histories: Sequence[NDArray[np.int32]]) -> list[HybridInputs]:
        """The gate's inputs for all n tracks, one value a history."""
        histories = [history[-MAX_HISTORY:] for history in histories]
        collaborative = self.collaborative.scores(histories) if self.collaborative else None
        ncf = self.ncf.scores(histories) if self.ncf else None
        sequence = self.sequence.scores(histories) if self.sequence else None
        return [
            hybrid_inputs(
                collaborative=collaborative[row] if collaborative is not None and len(history) else None,
                ncf=ncf[row] if ncf is not None and len(history) else None,
                content=None if self.content is None else content_scores(self.content, self.content.vectors[history]),
                context=None,
                popularity=self.popularity,
                cold_tracks=self.cold,
                history_length=len(history),
                # A listener after whose tracks nothing was ever heard: the model has nothing to say.
                sequence=sequence[row] if sequence is not None and sequence[row].any() else None,
                artists=artist_matches(self.artists, self.artists[history]),
            )
            for row, history in enumerate(histories)
        ]

    def with_context(self, inputs: HybridInputs, *, mood: str | None, genres: Sequence[str]) -> HybridInputs:
        """The same inputs for a listener who asked for a mood or genres."""
        context = context_scores(self.moods, self.genre_fits, mood=mood, wanted_genres=genres)
        return _revised(inputs, context=context)

    def with_unheard(self, inputs: HybridInputs, unheard: NDArray[np.bool_]) -> HybridInputs:
        """The same inputs as if nobody had heard some of the tracks, bool (n,): only content and context know these."""
        plays = np.where(unheard, np.float32(0.0), inputs.components[:, COMPONENTS.index("popularity")])
        return _revised(
            inputs,
            **{name: np.where(unheard, np.nan, _known(inputs, name)) for name in LEARNT_FROM_LISTENING},
            popularity=plays.astype(np.float32),
            cold_tracks=unheard | (inputs.context[:, CONTEXT_FEATURES.index("cold_track")] > 0),
        )

    def scores(self, gate: Gate, histories: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """float32 (b, n): the hybrid's scores of all tracks."""
        return np.stack([gate.rank(inputs)[1] for inputs in self.inputs(histories)])


def artist_codes(artists: NDArray[np.object_]) -> NDArray[np.int32]:
    """One number an artist, int32 (n,), -1 for the unknown one."""
    names, codes = np.unique(artists.astype(str), return_inverse=True)
    return np.where(names[codes] == "", -1, codes).astype(np.int32)


def _known(inputs: HybridInputs, name: str) -> NDArray[np.float32]:
    """A component (n,), NaN where it is not available."""
    column = COMPONENTS.index(name)
    return np.where(inputs.available[:, column] > 0, inputs.components[:, column], np.float32(np.nan))


def _revised(inputs: HybridInputs, **changes: NDArray[Any]) -> HybridInputs:
    """The same inputs with other values of some arguments of `hybrid_inputs`."""
    values: dict[str, Any] = {name: _known(inputs, name) for name in COMPONENTS}
    values["cold_tracks"] = inputs.context[:, CONTEXT_FEATURES.index("cold_track")] > 0
    heard, last = (inputs.context[:, CONTEXT_FEATURES.index(name)] for name in ("artist_heard", "artist_last"))
    values["artists"] = ArtistMatches(np.expm1(heard), last)
    values["history_length"] = round(float(np.expm1(inputs.context[0, 0] * 5.0)))
    return hybrid_inputs(**(values | changes))
