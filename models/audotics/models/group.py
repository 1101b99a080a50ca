"""Attentive group preference: a group's members, what it did lately, and candidates go in; a score each comes out.

The attention is AGREE's (Cao et al. 2018): how much a member counts depends on the candidate. Unlike there, nobody has
an embedding of their own, neither member nor group: all are folded in from histories, so that any ad-hoc group can be
served. For member m, candidate c and the group's events e of weight w_e, with the collaborative factors H and C of
tracks and unit vectors q of listeners (`models/collaborative.py`):

    s_mc   = q_m · C_c, without what c itself adds to q_m where m has heard it (EASE's zero diagonal)
    s_gc   = the same with q_g = Σ w_e H_e, scaled to length 1
    i_m    = q_m · Σ w_e C_e / Σ |w_e|, less its mean over members: whose taste lately won
    a_mc   = softmax over m of  Q u_m · K C_c / √d + temperature · s_mc + softplus(b) · i_m + l · log(1 + tracks heard)
    v_c    = Σ_m a_mc u_m + P q_g        with u_m = P q_m + W taste_m
    score  = w_1 Σ_m a_mc s_mc + w_2 s_gc + w_3 log(1 + plays_c) + v_c · T C_c + mlp(v_c * T C_c) - familiarity_c · p

w depends on how much is known: it is linear in log(1 + tracks heard), the mean of members, and in log(1 + events). K, T
and W start at zero: training begins at the linear model, and a text that is absent costs nothing. softplus keeps the
effect of recent behaviour in its direction: members whose taste the group accepted gain weight, those whose tracks it
skipped lose it. The learnt matrices stand on the factors' dimensions and not on tracks, so the factors can be fitted
anew to more data, turned to the same axes (`aligned`), without training the network again.

Compatibility of two members is the cosine of their q, stretched so that the 5th percentile of pairs drawn from the
training listeners is 0 and equal histories are 1; a member without a history is compatible with everybody as two drawn
listeners are in the median. A group's compatibility is the mean over its pairs, 1 for a single member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audotics.features.groups import GroupInputs
from audotics.models.collaborative import CollaborativeModel

TOWER = 32
LENGTH_SCALE = 5.0
"""log(1 + tracks) of a long history, so that the input is about 1."""

SHORTEST = 1e-6
"""Divisors stay above it, so that an empty history is the zero vector."""


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """Hyper-parameters. `half_life` counts events, 0 for sources that do not tell their order.

    `folds` parts of the interactions are held out in turn, so that the network learns from scores of tracks that the
    collaborative factors have not seen.
    """

    rank: int = 512
    embedding_size: int = 16
    epochs: int = 12
    batch_size: int = 16
    learning_rate: float = 0.0003
    negatives: int = 100
    dropout: float = 0.5
    folds: int = 5
    patience: int = 4
    half_life: float = 0.0
    solo_share: float = 0.5


@dataclass(frozen=True, slots=True)
class LinearScores:
    """What the collaborative factors say of b groups: see the module's head.

    members (b, m, c), group (b, c), influence (b, m); lengths (b, m), log(1 + tracks) / 5, and events (b,), log(1 +
    sum of weights' sizes) / 5.
    """

    members: Tensor
    group: Tensor
    influence: Tensor
    lengths: Tensor
    events: Tensor


class GroupModel(nn.Module):
    """The network with the collaborative factors that it rests on, as buffers."""

    history_factors: Tensor
    track_factors: Tensor
    own: Tensor
    popularity: Tensor
    familiarity_penalty: Tensor
    compatibility_range: Tensor

    def __init__(
        self, n_tracks: int, *, rank: int, embedding_size: int, taste_size: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.n_tracks, self.taste_size = n_tracks, taste_size
        self.register_buffer("history_factors", torch.zeros(n_tracks + 1, rank))
        self.register_buffer("track_factors", torch.zeros(n_tracks + 1, rank))
        self.register_buffer("own", torch.zeros(n_tracks))
        self.register_buffer("popularity", torch.zeros(n_tracks))
        self.register_buffer("familiarity_penalty", torch.zeros(()))
        self.register_buffer("compatibility_range", torch.tensor([0.0, 0.5]))
        self.member = nn.Linear(rank, embedding_size, bias=False)
        self.track = nn.Linear(rank, embedding_size, bias=False)
        self.query = nn.Linear(embedding_size, embedding_size, bias=False)
        self.key = nn.Linear(rank, embedding_size, bias=False)
        self.taste = nn.Linear(taste_size, embedding_size, bias=False) if taste_size else None
        self.first = nn.Linear(embedding_size, TOWER)
        self.second = nn.Linear(TOWER, 1, bias=False)
        self.temperature = nn.Parameter(torch.zeros(()))
        self.raw_influence = nn.Parameter(torch.tensor(-1.0))
        self.length = nn.Parameter(torch.zeros(()))
        self.mixture = nn.Linear(2, 3)
        self.dropout = nn.Dropout(dropout)
        started_at_zero = [self.key, self.track, self.second, *([] if self.taste is None else [self.taste])]
        for layer in (*started_at_zero, self.mixture):
            nn.init.zeros_(layer.weight)
        with torch.no_grad():
            self.mixture.bias[:] = torch.tensor([1.0, 1.0, 0.0])

    def set_factors(self, factors: CollaborativeModel, plays: NDArray[np.floating] | NDArray[np.integer]) -> None:
        """Put the collaborative factors of the same tracks in, and how often each was played."""
        history, track = factors.history_vectors, factors.track_vectors
        self.history_factors[:-1] = torch.from_numpy(history)
        self.track_factors[:-1] = torch.from_numpy(track)
        self.own[:] = torch.from_numpy((history * track).sum(axis=1))
        self.popularity[:] = torch.from_numpy(standard_popularity(plays))

    def taste_vectors(self, taste: Tensor, has_taste: Tensor) -> Tensor:
        """What texts (…, t) add to the vectors of their members, (…, d)."""
        assert self.taste is not None
        added: Tensor = self.taste(taste) * has_taste[..., None]
        return added

    def combine(
        self,
        scores: LinearScores,
        *,
        listeners: Tensor,
        taste: Tensor | None,
        mask: Tensor,
        group: Tensor,
        factors: Tensor,
        popularity: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Logits (b, c), and weights (b, m, c) that add up to 1 over members.

        listeners (b, m, r) and group (b, r) are q, taste (b, m, d) what texts add, mask bool (b, m) tells members from
        padding; factors (c, r) and popularity (c,) are those of the candidates.
        """
        vectors = self.member(listeners) if taste is None else self.member(listeners) + taste
        vectors, recent = self.dropout(vectors), self.dropout(self.member(group))
        attention = self.query(vectors) @ self.key(factors).T / self.query.in_features**0.5
        attention = attention + self.temperature * scores.members
        member = nn.functional.softplus(self.raw_influence) * scores.influence + self.length * scores.lengths
        attention = (attention + member[..., None]).masked_fill(~mask[..., None], -torch.inf)
        weights = attention.softmax(dim=1)
        preference = (weights * scores.members).sum(dim=1)
        product = (weights.transpose(1, 2) @ vectors + recent[:, None]) * self.track(factors)
        neural = product.sum(dim=-1) + self.second(torch.relu(self.first(product))).squeeze(-1)
        typical = (scores.lengths * mask).sum(dim=1) / mask.sum(dim=1)
        of_members, of_group, of_popularity = self.mixture(torch.stack([typical, scores.events], dim=1)).T[..., None]
        linear = of_members * preference + of_group * scores.group + of_popularity * popularity
        return linear + neural, weights

    def forward(
        self,
        member_history: Tensor,
        known: Tensor,
        event: Tensor,
        event_weight: Tensor,
        event_known: Tensor,
        familiarity: Tensor,
        candidate: Tensor,
        taste: Tensor | None = None,
        has_taste: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One group, with the inputs of `GroupInputs`.

        -> score (c,), weights (m, c), member_score (m, c), compatibility (m, m) and group_compatibility (1,).
        """
        heard = (member_history >= 0).sum(dim=1).float()
        raw = self.history_factors[torch.where(member_history >= 0, member_history, self.n_tracks)].sum(dim=1)
        lengths = raw.norm(dim=1, keepdim=True).clamp(min=SHORTEST)
        listeners = raw / lengths
        factors, own = self.track_factors[candidate], self.own[candidate]
        members = listeners @ factors.T - known * own / lengths
        played = torch.where(event >= 0, event, self.n_tracks)
        raw_group = event_weight @ self.history_factors[played]
        group_length = raw_group.norm().clamp(min=SHORTEST)
        group = raw_group / group_length
        amount = event_weight.abs().sum()
        influence = listeners @ (event_weight @ self.track_factors[played] / amount.clamp(min=SHORTEST))
        scores = LinearScores(
            members[None],
            (factors @ group - event_known * own / group_length)[None],
            (influence - influence.mean())[None],
            torch.log1p(heard)[None] / LENGTH_SCALE,
            torch.log1p(amount)[None] / LENGTH_SCALE,
        )
        logits, weights = self.combine(
            scores,
            listeners=listeners[None],
            taste=None if taste is None or has_taste is None else self.taste_vectors(taste, has_taste)[None],
            mask=torch.ones(1, len(listeners), dtype=torch.bool),
            group=group[None],
            factors=factors,
            popularity=self.popularity[candidate],
        )
        compatibility = self.compatibility(listeners, heard > 0)
        return {
            "score": logits[0] - self.familiarity_penalty * familiarity,
            "weights": weights[0],
            "member_score": members,
            "compatibility": compatibility,
            "group_compatibility": mean_of_pairs(compatibility),
        }

    def compatibility(self, listeners: Tensor, known: Tensor) -> Tensor:
        """(m, m) in 0..1 from unit vectors (m, r); `known` bool (m,) tells who has a history."""
        low, typical = self.compatibility_range
        stretched = ((listeners @ listeners.T - low) / (1.0 - low)).clamp(0.0, 1.0)
        pairs = torch.where(known[:, None] & known[None], stretched, typical)
        return torch.where(torch.eye(len(listeners), dtype=torch.bool), torch.ones(()), pairs)

    @torch.no_grad()
    def recommend(self, inputs: GroupInputs) -> dict[str, NDArray[np.float32]]:
        """`forward` on arrays. Raises ValueError when the width of taste is not that of the training data."""
        return self.run(inputs.feeds())

    @torch.no_grad()
    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """`forward` on the arrays of `GroupInputs.feeds`."""
        width = feeds["taste"].shape[1] if "taste" in feeds else 0
        if width != self.taste_size:
            raise ValueError(f"taste has {width} columns, but the model was trained with {self.taste_size}")
        outputs = self.eval()(**{name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in feeds.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    def save(self, folder: Path) -> None:
        torch.save(self.state_dict(), folder / "model.pt")

    @classmethod
    def load(cls, folder: Path) -> GroupModel:
        """The sizes are those of the saved arrays."""
        state = torch.load(folder / "model.pt", weights_only=True)
        n_tracks, (embedding_size, rank) = len(state["own"]), state["track.weight"].shape
        taste_size = state["taste.weight"].shape[1] if "taste.weight" in state else 0
        model = cls(n_tracks, rank=rank, embedding_size=embedding_size, taste_size=taste_size)
        model.load_state_dict(state)
        return model.eval()


def mean_of_pairs(compatibility: Tensor) -> Tensor:
    """(1,): the mean of a symmetric (m, m) matrix with diagonal 1 over pairs of different members, 1 without any."""
    pairs = len(compatibility) * (len(compatibility) - 1)
    total = compatibility.sum() - len(compatibility)
    return (total / pairs if pairs else torch.ones(()))[None]


def standard_popularity(plays: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float32]:
    """log(1 + plays) with mean 0 and standard deviation 1 over the tracks."""
    logs = np.log1p(plays)
    spread = max(float(logs.std()), SHORTEST)
    return ((logs - logs.mean()) / spread).astype(np.float32)


def aligned(
    factors: CollaborativeModel, axes: NDArray[np.float32], rows: NDArray[np.integer] | None = None
) -> CollaborativeModel:
    """`factors` turned to the axes of other track vectors (n, d) (orthogonal Procrustes, Schönemann 1966).

    Scores stay the same. Where `factors` has fewer dimensions, the others are 0; where it has more, the last are cut.
    `rows` int64 (n,) says which of the factors' tracks those of `axes` are, where they are not the same.
    """
    rank = axes.shape[1]

    def fitted(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.pad(vectors, ((0, 0), (0, max(0, rank - vectors.shape[1]))))[:, :rank]

    history, track = fitted(factors.history_vectors), fitted(factors.track_vectors)
    shared = track if rows is None else track[rows]
    left, _, right = np.linalg.svd(shared.T.astype(np.float64) @ axes)
    turn = (left @ right).astype(np.float32)
    return CollaborativeModel(history @ turn, track @ turn, factors.options)
