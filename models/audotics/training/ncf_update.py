"""Update of NCF: a trained network and longer histories go in, a network that knows them too comes out.

The network goes on from its parameters. A track that is new to it starts as the mean of the tracks that it is heard
with, weighed by cosine; one that is heard with none of them as the mean of its artist's tracks, or of all. An epoch
covers the listeners whose histories changed, and a share of the others drawn anew, without whom the network would
forget what only they knew. First GMF alone goes on, as in training, since it learns what tracks have in common ten
times faster, then NeuMF.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from audotics.evaluation.baselines import history_matrix
from audotics.evaluation.ranking import Holdout
from audotics.features.tracks import TrackColumns
from audotics.models.attributes import Attributes
from audotics.models.ncf import TABLES, Ncf, NcfOptions
from audotics.training.averaging import Averaged
from audotics.training.checkpoints import Checkpoints
from audotics.training.loop import Fit, Schedule, fit
from audotics.training.ncf_batches import Histories, softmax_loss
from audotics.training.pretraining import Plan, pretrain
from audotics.training.progress import Progress

NEIGHBOURS: Final = 20
"""Known tracks that a new one starts as the mean of."""


@dataclass(frozen=True, slots=True)
class UpdateOptions:
    """How to go on: epochs of GMF alone and of NeuMF, each shorter than training's, and the share of others' replay."""

    pretrain_epochs: int = 8
    pretrain_learning_rate: float = 0.01
    epochs: int = 1
    replay: float = 0.25


@dataclass(frozen=True, slots=True)
class Previous:
    """The network to go on from, and the row that each of its tracks has now."""

    network: Ncf
    rows: NDArray[np.int64]


def update_ncf(
    previous: Previous,
    histories: Sequence[NDArray[np.int32]],
    changed: NDArray[np.bool_],
    tracks: TrackColumns,
    options: NcfOptions,
    how: UpdateOptions,
    *,
    seed: int,
    holdout: Holdout | None,
    checkpoints: Checkpoints,
    progress: Progress,
    title: str = "ncf",
) -> tuple[Ncf, Fit]:
    """Go on from `previous` with one history a listener, of whom those in bool (m,) `changed` have a new one.

    With `holdout`, the best epoch by its NDCG@10 counts.
    """
    torch.manual_seed(seed)
    averaged = Averaged(_start(previous, histories, tracks, options), options.averaging)
    if not options.recency:
        averaged.network.recency.requires_grad_(False)
    source = Histories(histories, len(tracks))
    renewed, others = (source.listeners[changed[source.listeners] == flag] for flag in (True, False))

    def batches(rng: np.random.Generator, *, deep: bool) -> list[Callable[[], Tensor]]:
        replayed = rng.permutation(others)[: round(how.replay * len(others))]
        order = rng.permutation(np.concatenate([renewed, replayed]))
        n_candidates = options.drawn(len(tracks)) if deep else len(tracks)

        def loss(listeners: NDArray[np.int64]) -> Tensor:
            averaged.follow()
            batch = source.batch(listeners, rng, hidden_share=options.hidden_share, n_candidates=n_candidates)
            return softmax_loss(averaged.network, batch, deep=deep)

        return [
            partial(loss, listeners)
            for listeners in np.array_split(order, -(-len(order) // options.batch_size))
            if len(listeners)
        ]

    def validate() -> float:
        assert holdout is not None
        return holdout.evaluate(averaged.average.scores)["ndcg@10"]

    if how.pretrain_epochs and options.pretrain_epochs:
        pretrain(
            averaged,
            Plan(how.pretrain_epochs, how.pretrain_learning_rate, options.weight_decay, seed, undecayed=("recency",)),
            batches=partial(batches, deep=False),
            checkpoints=Checkpoints(checkpoints.folder / "pretraining"),
            resume=False,
            progress=progress,
            title=f"{title}: GMF alone",
        )
    result = fit(
        averaged,
        Schedule(how.epochs, how.epochs, options.learning_rate, seed),
        batches=partial(batches, deep=True),
        validate=validate if holdout is not None else None,
        checkpoints=checkpoints,
        resume=False,
        progress=progress,
        title=title,
    )
    return averaged.average.folded().eval(), result


def _start(
    previous: Previous, histories: Sequence[NDArray[np.int32]], tracks: TrackColumns, options: NcfOptions
) -> Ncf:
    """The previous network over the tracks as they are now."""
    attributes = Attributes.of(tracks) if options.attributes else None
    network = Ncf(len(tracks), options.embedding_size, dropout=options.dropout, attributes=attributes)
    weights = start_weights(previous.rows, histories, tracks)
    state = previous.network.state_dict()
    for name in (*TABLES, "track_bias"):
        table = state[f"{name}.weight"].numpy()
        state[f"{name}.weight"] = torch.from_numpy(np.asarray(weights @ table, np.float32))
    # Embeddings of attributes start at zero: a saved network has them added to those of its tracks.
    network.load_state_dict(network.state_dict() | state)
    return network


def start_weights(
    rows: NDArray[np.int64], histories: Sequence[NDArray[np.int32]], tracks: TrackColumns
) -> sparse.csr_matrix:
    """What each of the n tracks starts as: (n, m), whose rows add up to 1, over the m known tracks at `rows`."""
    known = np.zeros(len(tracks), np.bool_)
    known[rows] = True
    new = np.flatnonzero(~known)
    heard = history_matrix(histories, len(tracks)).tocsc()
    norms = np.sqrt(np.maximum(np.asarray(heard.sum(axis=0)).ravel(), 1.0))
    together = (heard[:, new].T @ heard[:, rows]).tocsr()
    columns, owners, values = [np.arange(len(rows))], [rows], [np.ones(len(rows))]
    for place, track in enumerate(new):
        inside = slice(together.indptr[place], together.indptr[place + 1])
        near, amounts = together.indices[inside], together.data[inside] / norms[rows[together.indices[inside]]]
        if len(near) > NEIGHBOURS:
            kept = np.argpartition(amounts, -NEIGHBOURS)[-NEIGHBOURS:]
            near, amounts = near[kept], amounts[kept]
        if not len(near):
            same = tracks.artists[rows] == tracks.artists[track] if tracks.artists[track] else np.zeros(0, np.bool_)
            near = np.flatnonzero(same) if same.any() else np.arange(len(rows))
            amounts = np.ones(len(near))
        columns.append(near)
        owners.append(np.full(len(near), track))
        values.append(amounts / amounts.sum())
    entries = (np.concatenate(values), (np.concatenate(owners), np.concatenate(columns)))
    return sparse.csr_matrix(entries, shape=(len(tracks), len(rows)))
