"""Neural collaborative filtering: NeuMF (He et al. 2017) whose listeners are their histories.

The paper gives each listener an embedding of its own, which a listener unseen in training does not have. Here the
listener's vector is the sum of the embeddings of the tracks heard, divided by the square root of their number (as in
SVD++, Koren 2008), once for the GMF branch and once for the MLP branch. So anybody with a history can be folded in, and
an event in real time is one more summand. A track counts in the sum by a weight that is learnt for how long ago it was
heard.

    logit = gmf_listener · gmf_track + mlp([mlp_listener, mlp_track]) + bias_track

What tracks share (`models/attributes.py`: artist, genres, tags) has embeddings too. They are added to those of the
tracks that carry it, on both sides, so a sum over a history holds the taste for artists and genres as well.
A saved network has them added up once for all.

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

from audotics.features.history import MAX_HISTORY, pad_histories
from audotics.models.attributes import Attributes

TOWER = (128, 64, 32)
TOWER_EMBEDDING = 64
"""Width of the MLP branch's embeddings, at most: a listener's and a track's are the tower's input of 128."""

RECENCY_STEPS = 9
"""Weights for how long ago a track was heard: the last, the 2 before, the 4 before those, … from 255 tracks on."""

TABLES = ("gmf_history", "mlp_history", "gmf_track", "mlp_track")
"""The tables of track embeddings: what a track adds to its listeners, and what it is scored by."""

NEGATIVE_SHARE, LEAST_NEGATIVES = 0.125, 64
"""Of the catalogue, drawn for a batch, and how many in any case. On eight synthetic catalogues of 1,000 and 1,500
tracks NDCG@10 was the same with twice as many, and a step of NeuMF takes as long as there are tracks to score."""

SCORED_AT_ONCE = 20_000
"""Listener-track pairs in one forward pass of `scores`: 10 MB a layer. With twenty times as many, which leave the
processor's cache, scoring took more than twice as long."""


@dataclass(frozen=True, slots=True)
class NcfOptions:
    """Hyper-parameters of training.

    `batch_size` counts listeners. Of each one's history a share of `hidden_share` is hidden, drawn anew in every epoch,
    and to be found among tracks that are drawn once a batch: `negatives`, or on a small catalogue fewer (`drawn`).
    `pretrain_epochs` train GMF alone beforehand, against the whole catalogue, with `weight_decay`; 0 leaves that out.
    `averaging` is how much of the parameters' running average stays at each step. `attributes` and `recency` switch
    these parts on.
    """

    embedding_size: int = 128
    epochs: int = 6
    batch_size: int = 128
    learning_rate: float = 0.0003
    negatives: int = 256
    dropout: float = 0.0
    hidden_share: float = 0.5
    patience: int = 1
    pretrain_epochs: int = 20
    pretrain_learning_rate: float = 0.01
    weight_decay: float = 1.0
    averaging: float = 0.99
    attributes: bool = False
    recency: bool = True

    def drawn(self, n_tracks: int) -> int:
        """How many of `n_tracks` tracks are drawn for a batch of NeuMF."""
        return min(self.negatives, max(LEAST_NEGATIVES, int(NEGATIVE_SHARE * n_tracks)))


class Ncf(nn.Module):
    """NeuMF over `n_tracks` tracks. Histories are padded with `PADDING`, oldest track first."""

    def __init__(
        self, n_tracks: int, embedding_size: int, *, dropout: float = 0.0, attributes: Attributes | None = None
    ) -> None:
        super().__init__()
        self.n_tracks = n_tracks
        tower_size = min(embedding_size, TOWER_EMBEDDING)
        self.gmf_history = nn.Embedding(n_tracks, embedding_size)
        self.mlp_history = nn.Embedding(n_tracks, tower_size)
        self.gmf_track = nn.Embedding(n_tracks, embedding_size)
        self.mlp_track = nn.Embedding(n_tracks, tower_size)
        self.track_bias = nn.Embedding(n_tracks, 1)
        self.recency = nn.Parameter(torch.ones(RECENCY_STEPS))
        self.first_listener = nn.Linear(tower_size, TOWER[0])
        self.first_track = nn.Linear(tower_size, TOWER[0], bias=False)
        self.second = nn.Linear(TOWER[0], TOWER[1])
        self.third = nn.Linear(TOWER[1], TOWER[2])
        self.output = nn.Linear(TOWER[2], 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        for name in TABLES:
            nn.init.normal_(getattr(self, name).weight, std=0.05)
        nn.init.zeros_(self.track_bias.weight)
        nn.init.zeros_(self.output.weight)
        self.shared = None if attributes is None or not len(attributes) else _Shared(attributes, self._widths())

    def listeners(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of the two branches, (b, embedding_size) and (b, tower_size), from int64 (b, length)."""
        known = history >= 0
        lengths = known.sum(dim=1)
        age = (known.flip(1).cumsum(1).flip(1) - 1)[known]
        offsets = nn.functional.pad(lengths.cumsum(0), (1, 0))
        return self.encode(history[known], age, offsets)

    def encode(self, tracks: Tensor, age: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """As `listeners`, from ragged histories: listener i heard tracks[offsets[i]:offsets[i + 1]].

        `age` int64, beside `tracks`, says how many tracks each was heard before the last, which has 0.
        """
        scale = (offsets[1:] - offsets[:-1]).clamp(min=1).float().rsqrt()[:, None]
        weights = self.recency[recency_step(age)]
        vectors = []
        for name in ("gmf_history", "mlp_history"):
            summed = nn.functional.embedding_bag(
                tracks, self.table(name), offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
            )
            vectors.append(self.dropout(summed * scale))
        return vectors[0], vectors[1]

    def forward(self, gmf: Tensor, mlp: Tensor, tracks: Tensor) -> Tensor:
        """Logits (b, t) of each listener for each of the int64 (t,) tracks."""
        first = self.first_listener(mlp)[:, None] + self.first_track(self.rows("mlp_track", tracks))
        return self.gmf(gmf, tracks) + self._tower(first)

    def gmf(self, gmf: Tensor, tracks: Tensor) -> Tensor:
        """The part of `forward` that the GMF branch makes, with the bias."""
        return gmf @ self.rows("gmf_track", tracks).T + self.track_bias(tracks).T

    def pairs(self, gmf: Tensor, mlp: Tensor, tracks: Tensor) -> Tensor:
        """Logits (b,) of each listener for the track in the same place of int64 (b,)."""
        first = self.first_listener(mlp) + self.first_track(self.rows("mlp_track", tracks))
        return self.gmf_pairs(gmf, tracks) + self._tower(first)

    def gmf_pairs(self, gmf: Tensor, tracks: Tensor) -> Tensor:
        """The part of `pairs` that the GMF branch makes, with the bias."""
        return (gmf * self.rows("gmf_track", tracks)).sum(-1) + self.track_bias(tracks).squeeze(-1)

    def table(self, name: str) -> Tensor:
        """The embeddings `name` with those of the attributes added."""
        weight: Tensor = getattr(self, name).weight
        return weight if self.shared is None else weight + self.shared(name)

    def rows(self, name: str, tracks: Tensor) -> Tensor:
        """Rows of `table(name)`. As an embedding their gradients are added up faster than by an index."""
        return nn.functional.embedding(tracks, self.table(name))

    def folded(self) -> Ncf:
        """The same network with the attributes' embeddings added to the tracks' own, once for all."""
        plain = Ncf(self.n_tracks, self.gmf_track.embedding_dim)
        own = plain.state_dict()
        state = {name: value for name, value in self.state_dict().items() if name in own}
        plain.load_state_dict(state | {f"{name}.weight": self.table(name).detach() for name in TABLES})
        return plain.train(self.training)

    @torch.no_grad()
    def scores(
        self, histories: Sequence[NDArray[np.integer]], *, max_history: int = MAX_HISTORY
    ) -> NDArray[np.float32]:
        """float32 (b, n_tracks): logits of all tracks by the last `max_history` tracks of each history."""
        self.eval()
        plain = self if self.shared is None else self.folded()
        gmf, mlp = plain.listeners(torch.from_numpy(pad_histories(histories, max_length=max_history)))
        tracks, of_tracks = torch.arange(self.n_tracks), plain.first_track(plain.mlp_track.weight)
        step = max(1, SCORED_AT_ONCE // self.n_tracks)
        parts = [
            plain.gmf(gmf[start : start + step], tracks)
            + plain._tower(plain.first_listener(mlp[start : start + step])[:, None] + of_tracks)
            for start in range(0, len(gmf), step)
        ]
        logits: NDArray[np.float32] = torch.cat(parts).numpy()
        return logits

    def save(self, folder: Path) -> None:
        """Write `model.pt`, with the attributes folded in."""
        torch.save(self.folded().state_dict(), folder / "model.pt")

    @classmethod
    def load(cls, folder: Path, options: dict[str, Any]) -> Ncf:
        state = torch.load(folder / "model.pt", weights_only=True)
        model = cls(state["gmf_track.weight"].shape[0], int(options["embedding_size"]))
        model.load_state_dict(state)
        return model.eval()

    def _tower(self, first: Tensor) -> Tensor:
        # In place, `first` too: where each layer had memory of its own, scoring took half as long again.
        hidden = torch.relu_(self.second(torch.relu_(first)))
        logits: Tensor = self.output(torch.relu_(self.third(hidden))).squeeze(-1)
        return logits

    def _widths(self) -> dict[str, int]:
        return {name: getattr(self, name).embedding_dim for name in TABLES}


class _Shared(nn.Module):
    """Embeddings of attributes, one table for each of the network's own."""

    offsets: Tensor
    codes: Tensor
    weights: Tensor

    def __init__(self, attributes: Attributes, widths: dict[str, int]) -> None:
        super().__init__()
        for name in ("offsets", "codes", "weights"):
            self.register_buffer(name, torch.from_numpy(getattr(attributes, name)), persistent=False)
        self.tables = nn.ParameterDict({name: torch.zeros(len(attributes), width) for name, width in widths.items()})

    def forward(self, name: str) -> Tensor:
        """What to add to the rows of the table `name`."""
        return nn.functional.embedding_bag(
            self.codes,
            self.tables[name],
            self.offsets,
            mode="sum",
            per_sample_weights=self.weights,
            include_last_offset=True,
        )


def recency_step(age: Tensor) -> Tensor:
    """Row of `Ncf.recency` for int64 ages: 0, then 1 and 2, then 3 to 6, and so on, and the last from 255 on."""
    return torch.log2(age.float() + 1).long().clamp(max=RECENCY_STEPS - 1)
