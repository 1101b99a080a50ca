"""Neural collaborative filtering: NeuMF (He et al. 2017) whose listeners are their histories.

The paper gives each listener an embedding of its own, which a listener unseen in training does not have. Here the
listener's vector is the sum of the embeddings of the tracks heard, divided by the square root of their number (as in
SVD++, Koren 2008), once for the GMF branch and once for the MLP branch. So anybody with a history can be folded in.

    logit = gmf_listener · gmf_track + mlp([mlp_listener, mlp_track]) + bias_track

The MLP has the paper's tower 128-64-32. Its first layer acts on listener and track apart and is added up, which is the
same as acting on their concatenation, and spares most of the work when many tracks are scored for one listener.
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

from audotics.features.history import PADDING, pad_histories

TOWER = (128, 64, 32)
SCORED_AT_ONCE = 400_000
"""Listener-track pairs in one forward pass of `scores`; bounds its memory to about 200 MB."""


@dataclass(frozen=True, slots=True)
class NcfOptions:
    """Hyper-parameters of training. `negatives` are drawn once a batch and shared by its rows."""

    embedding_size: int = 64
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 0.003
    negatives: int = 64
    dropout: float = 0.4
    history_dropout: float = 0.2
    patience: int = 3


class Ncf(nn.Module):
    """NeuMF over `n_tracks` tracks. Histories are padded with `PADDING`."""

    def __init__(self, n_tracks: int, embedding_size: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.n_tracks = n_tracks
        self.gmf_history = nn.Embedding(n_tracks + 1, embedding_size, padding_idx=n_tracks)
        self.mlp_history = nn.Embedding(n_tracks + 1, embedding_size, padding_idx=n_tracks)
        self.gmf_track = nn.Embedding(n_tracks, embedding_size)
        self.mlp_track = nn.Embedding(n_tracks, embedding_size)
        self.track_bias = nn.Embedding(n_tracks, 1)
        self.first_listener = nn.Linear(embedding_size, TOWER[0])
        self.first_track = nn.Linear(embedding_size, TOWER[0], bias=False)
        self.second = nn.Linear(TOWER[0], TOWER[1])
        self.third = nn.Linear(TOWER[1], TOWER[2])
        self.output = nn.Linear(TOWER[2], 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        for embedding in (self.gmf_history, self.mlp_history, self.gmf_track, self.mlp_track):
            nn.init.normal_(embedding.weight, std=0.05)
            if embedding.padding_idx is not None:
                nn.init.zeros_(embedding.weight[embedding.padding_idx].detach())
        nn.init.zeros_(self.track_bias.weight)

    def listeners(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of the two branches, (b, d) each, from int64 (b, length) padded with PADDING."""
        known = history >= 0
        rows = torch.where(known, history, self.n_tracks)
        scale = known.sum(dim=1, keepdim=True).clamp(min=1).float().rsqrt()
        gmf = nn.functional.embedding_bag(rows, self.gmf_history.weight, mode="sum", padding_idx=self.n_tracks)
        mlp = nn.functional.embedding_bag(rows, self.mlp_history.weight, mode="sum", padding_idx=self.n_tracks)
        return self.dropout(gmf * scale), self.dropout(mlp * scale)

    def forward(self, gmf: Tensor, mlp: Tensor, tracks: Tensor) -> Tensor:
        """Logits (b, t) of each listener for each of the int64 (t,) tracks."""
        linear = gmf @ self.gmf_track(tracks).T + self.track_bias(tracks).T
        return linear + self._tower(self.first_listener(mlp)[:, None] + self.first_track(self.mlp_track(tracks)))

    def pairs(self, gmf: Tensor, mlp: Tensor, tracks: Tensor) -> Tensor:
        """Logits (b,) of each listener for the track in the same place of int64 (b,)."""
        linear = (gmf * self.gmf_track(tracks)).sum(-1) + self.track_bias(tracks).squeeze(-1)
        return linear + self._tower(self.first_listener(mlp) + self.first_track(self.mlp_track(tracks)))

    def _tower(self, first: Tensor) -> Tensor:
        hidden = torch.relu(self.second(torch.relu(first)))
        logits: Tensor = self.output(torch.relu(self.third(hidden))).squeeze(-1)
        return logits

    @torch.no_grad()
    def scores(self, histories: Sequence[NDArray[np.integer]]) -> NDArray[np.float32]:
        """float32 (b, n_tracks): logits of all tracks."""
        self.eval()
        tracks = torch.arange(self.n_tracks)
        gmf, mlp = self.listeners(torch.from_numpy(pad_histories(histories)))
        step = max(1, SCORED_AT_ONCE // self.n_tracks)
        parts = [self(gmf[i : i + step], mlp[i : i + step], tracks) for i in range(0, len(gmf), step)]
        logits: NDArray[np.float32] = torch.cat(parts).numpy()
        return logits

    def save(self, folder: Path) -> None:
        torch.save(self.state_dict(), folder / "model.pt")

    @classmethod
    def load(cls, folder: Path, options: dict[str, Any]) -> Ncf:
        state = torch.load(folder / "model.pt", weights_only=True)
        model = cls(state["gmf_track.weight"].shape[0], int(options["embedding_size"]))
        model.load_state_dict(state)
        return model.eval()


def sampled_softmax_loss(
    model: Ncf, history: Tensor, positives: Tensor, negatives: Tensor, heard: Tensor, *, history_dropout: float
) -> Tensor:
    """Cross-entropy of each positive against the batch's shared negatives.

    history int64 (b, length) with the listener's tracks, positives int64 (b,) among them, negatives int64 (k,), heard
    bool (b, k): negatives that the listener has heard, which do not count. The positive is taken out of the history
    first, and a random share of the rest, so that the model learns to complete histories of any length.
    """
    hidden = history == positives[:, None]
    hidden |= torch.rand(history.shape) < history_dropout
    gmf, mlp = model.listeners(torch.where(hidden, PADDING, history))
    against = model(gmf, mlp, negatives).masked_fill(heard, -torch.inf)
    logits = torch.cat([model.pairs(gmf, mlp, positives)[:, None], against], dim=1)
    return nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
