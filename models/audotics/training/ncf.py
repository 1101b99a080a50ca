"""Training of NCF: histories go in, a fitted network comes out.

As in the paper, GMF may be trained alone first, and NeuMF goes on from there. What is validated and kept is a running
average of the parameters over the last steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audotics.evaluation.ranking import Holdout
from audotics.features.history import MAX_HISTORY
from audotics.features.tracks import TrackColumns
from audotics.models.attributes import Attributes
from audotics.models.ncf import Ncf, NcfOptions
from audotics.training.averaging import Averaged
from audotics.training.checkpoints import Checkpoints
from audotics.training.loop import Fit, Schedule, fit
from audotics.training.ncf_batches import Histories, softmax_loss
from audotics.training.pretraining import Plan, pretrain
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
    tracks: TrackColumns | None = None,
    max_history: int = MAX_HISTORY,
) -> tuple[Ncf, Fit]:
    """Fit NCF on one history a listener; with `holdout`, stop early on its NDCG@10.

    `tracks` brings the artists, genres and tags of the n_tracks. Histories are trained on whole, and validated by
    their last `max_history` tracks. The fit that comes back is that of NeuMF, without the pre-training.
    """
    torch.manual_seed(seed)
    attributes = Attributes.of(tracks) if options.attributes and tracks is not None else None
    averaged = Averaged(
        Ncf(n_tracks, options.embedding_size, dropout=options.dropout, attributes=attributes), options.averaging
    )
    if not options.recency:
        averaged.network.recency.requires_grad_(False)
    source = Histories(histories, n_tracks)

    def batches(rng: np.random.Generator, *, deep: bool) -> list[Callable[[], Tensor]]:
        order = rng.permutation(source.listeners)
        n_candidates = options.drawn(n_tracks) if deep else n_tracks
        return [
            partial(_loss, averaged, source, listeners, rng, options, n_candidates=n_candidates, deep=deep)
            for listeners in np.array_split(order, max(1, -(-len(order) // options.batch_size)))
        ]

    def validate() -> float:
        assert holdout is not None
        return holdout.evaluate(partial(averaged.average.scores, max_history=max_history))["ndcg@10"]

    started = time.perf_counter()
    if options.pretrain_epochs:
        pretrain(
            averaged,
            Plan(
                options.pretrain_epochs,
                options.pretrain_learning_rate,
                options.weight_decay,
                seed,
                undecayed=("recency",),
            ),
            batches=partial(batches, deep=False),
            checkpoints=Checkpoints(checkpoints.folder / "pretraining"),
            resume=resume,
            progress=progress,
            title=f"{title}: GMF alone",
        )
    result = fit(
        averaged,
        Schedule(options.epochs, options.patience, options.learning_rate, seed),
        batches=partial(batches, deep=True),
        validate=validate if holdout is not None else None,
        checkpoints=checkpoints,
        resume=resume,
        progress=progress,
        title=title,
    )
    rate = source.pairs * (options.pretrain_epochs + len(result.losses)) / (time.perf_counter() - started)
    progress.say(f"{title}: {source.pairs:,} pairs, {rate:,.0f} a second")
    return averaged.average.folded().eval(), result


def _loss(
    averaged: Averaged[Ncf],
    source: Histories,
    listeners: NDArray[np.integer],
    rng: np.random.Generator,
    options: NcfOptions,
    *,
    n_candidates: int,
    deep: bool,
) -> Tensor:
    """The loss of one batch, which is drawn only when it is its turn."""
    averaged.follow()
    batch = source.batch(listeners, rng, hidden_share=options.hidden_share, n_candidates=n_candidates)
    return softmax_loss(averaged.network, batch, deep=deep)
