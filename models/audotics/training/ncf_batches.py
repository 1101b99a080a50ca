"""Batches of NCF's training: histories go in, listeners with hidden tracks and what these compete with come out.

Each listener of a batch is encoded once, from the part of the history that is not hidden, and then scores all tracks
that are hidden and all candidates. So long histories cost little more than short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audotics.models.ncf import Ncf

NEVER = -1e9
"""Logit of a candidate that the listener has heard. An infinite one would have no gradient where all are heard."""


@dataclass(frozen=True, slots=True)
class NcfBatch:
    """u listeners, what is left of their histories, m hidden tracks of theirs, and k candidates.

    Listener i keeps kept[offsets[i]:offsets[i + 1]], with the `age` of each as `Ncf.encode` has it. `hidden` (m,) was
    heard by `listener` (m,). `closed` bool (u, k) tells candidates that a listener keeps. `log_share` (u,) is the
    logarithm of how many tracks that the listener does not keep each open candidate stands for.
    """

    kept: Tensor
    age: Tensor
    offsets: Tensor
    listener: Tensor
    hidden: Tensor
    candidates: Tensor
    closed: Tensor
    log_share: Tensor


class Histories:
    """Histories of listeners over `n_tracks` tracks, from which batches are drawn."""

    def __init__(self, histories: Sequence[NDArray[np.integer]], n_tracks: int) -> None:
        self.n_tracks = n_tracks
        self._tracks = np.concatenate([np.zeros(0, np.int64), *histories]).astype(np.int64)
        self._offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])]).astype(np.int64)
        self.listeners = np.flatnonzero(np.diff(self._offsets) > 0)

    @property
    def pairs(self) -> int:
        """Pairs of a listener and a track."""
        return len(self._tracks)

    def batch(
        self, listeners: NDArray[np.integer], rng: np.random.Generator, *, hidden_share: float, n_candidates: int
    ) -> NcfBatch:
        """Hide each track with the chance `hidden_share`, against `n_candidates` drawn ones, or all if there are fewer.

        At least one track is hidden in all.
        """
        start, length = self._offsets[:-1][listeners], np.diff(self._offsets)[listeners]
        listener = np.repeat(np.arange(len(listeners)), length)
        place = np.arange(len(listener)) - np.repeat(np.cumsum(length) - length, length)
        tracks = self._tracks[start[listener] + place]
        hidden = rng.random(len(tracks)) < hidden_share
        hidden[rng.integers(len(tracks))] = True
        kept = ~hidden
        n_kept = np.bincount(listener[kept], minlength=len(listeners))
        known = np.zeros((len(listeners), self.n_tracks), np.bool_)
        known[listener[kept], tracks[kept]] = True
        candidates = (
            np.arange(self.n_tracks)
            if n_candidates >= self.n_tracks
            else np.sort(rng.choice(self.n_tracks, n_candidates, replace=False))
        )
        closed = known[:, candidates]
        share = (self.n_tracks - n_kept) / np.maximum(len(candidates) - closed.sum(axis=1), 1)
        return NcfBatch(
            kept=torch.from_numpy(tracks[kept]),
            age=torch.from_numpy((length[listener] - 1 - place)[kept]),
            offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(n_kept)]).astype(np.int64)),
            listener=torch.from_numpy(listener[hidden]),
            hidden=torch.from_numpy(tracks[hidden]),
            candidates=torch.from_numpy(candidates),
            closed=torch.from_numpy(closed),
            log_share=torch.from_numpy(np.log(np.maximum(share, 1.0)).astype(np.float32)),
        )


def softmax_loss(model: Ncf, batch: NcfBatch, *, deep: bool = True) -> Tensor:
    """Mean cross-entropy of each hidden track against the candidates that its listener has not heard.

    Where the candidates are a sample, they count for the whole catalogue. Without `deep` only the GMF branch scores.
    """
    gmf, mlp = model.encode(batch.kept, batch.age, batch.offsets)
    if deep:
        against = model(gmf, mlp, batch.candidates)
        wanted = model.pairs(gmf[batch.listener], mlp[batch.listener], batch.hidden)
    else:
        against = model.gmf(gmf, batch.candidates)
        wanted = model.gmf_pairs(gmf[batch.listener], batch.hidden)
    rivals = against.masked_fill(batch.closed, NEVER).logsumexp(dim=1) + batch.log_share
    return nn.functional.softplus(rivals[batch.listener] - wanted).mean()
