"""Training of NCF: histories go in, a fitted network comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audotics.evaluation.ranking import Holdout
from audotics.features.history import pad_histories
from audotics.models.ncf import Ncf, NcfOptions, sampled_softmax_loss
from audotics.training.checkpoints import Checkpoints
from audotics.training.loop import Fit, Schedule, fit
from audotics.training.progress import Progress


def train_ncf(
    histories: Sequence[NDArray[np.int32]],
    n_tracks: int,
    options: NcfOptions,
    *,
    seed: int,
    holdout: Holdout | None,
    checkpoints: Checkpoints,
    resume: bool,
    progress: Progress,
    title: str = "ncf",
) -> tuple[Ncf, Fit]:
    """Fit NCF on one history a listener; with `holdout`, stop early on its NDCG@10."""
    torch.manual_seed(seed)
    model = Ncf(n_tracks, options.embedding_size, dropout=options.dropout)
    padded = pad_histories(histories)
    users, columns = np.nonzero(padded >= 0)
    tracks = padded[users, columns]

    def batches(rng: np.random.Generator) -> list[Callable[[], Tensor]]:
        order = rng.permutation(len(users))
        return [
            _Batch(model, padded, users[rows], tracks[rows], _negatives(rng, n_tracks, options), options)
            for rows in np.array_split(order, max(1, len(order) // options.batch_size))
        ]

    def validate() -> float:
        assert holdout is not None
        return holdout.evaluate(model.scores)["ndcg@10"]

    schedule = Schedule(options.epochs, options.patience, options.learning_rate, seed)
    return model, fit(
        model,
        schedule,
        batches=batches,
        validate=validate if holdout is not None else None,
        checkpoints=checkpoints,
        resume=resume,
        progress=progress,
        title=title,
    )


def _negatives(rng: np.random.Generator, n_tracks: int, options: NcfOptions) -> NDArray[np.int64]:
    """About `options.negatives` tracks, uniform, distinct and sorted."""
    return np.unique(rng.integers(0, n_tracks, options.negatives))


class _Batch:
    """The loss of one batch, with tensors made only when it is its turn. `negatives` are sorted and distinct."""

    def __init__(
        self,
        model: Ncf,
        padded: NDArray[np.int64],
        users: NDArray[np.integer],
        positives: NDArray[np.int64],
        negatives: NDArray[np.int64],
        options: NcfOptions,
    ) -> None:
        self.model, self.padded, self.users = model, padded, users
        self.positives, self.negatives, self.options = positives, negatives, options

    def __call__(self) -> Tensor:
        history = self.padded[self.users]
        history = history[:, : max(1, int((history >= 0).sum(axis=1).max()))]
        place = np.minimum(np.searchsorted(self.negatives, history), len(self.negatives) - 1)
        heard = np.zeros((len(history), len(self.negatives)), np.bool_)
        rows, columns = np.nonzero(self.negatives[place] == history)
        heard[rows, place[rows, columns]] = True
        return sampled_softmax_loss(
            self.model,
            torch.from_numpy(history),
            torch.from_numpy(self.positives),
            torch.from_numpy(self.negatives),
            torch.from_numpy(heard),
            history_dropout=self.options.history_dropout,
        )
