"""Training of the content embedding: inputs and listening histories go in, a fitted network comes out.

The embedding is for tracks that nobody has heard, so it is validated on such: a share of the tracks is kept out of all
pairs and out of the closed form that the network starts as, and training stops when these tracks are no longer found
better. Then all tracks are trained on, for as many epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError
from audotics.evaluation.metrics import ndcg
from audotics.evaluation.ranking import Histories, set_ranking
from audotics.features.content import ContentEncoder, ContentInputs, Embeddings
from audotics.models.content import ContentOptions, PairModel, build, encode, start
from audotics.models.content_map import (
    ContentMap,
    ContentMapOptions,
    fit_content_map,
    listening_factors,
    shared_artists,
)
from audotics.training.keras_checkpoints import KerasCheckpoints, reseed
from audotics.training.loop import Fit
from audotics.training.nearest import nearest
from audotics.training.progress import Progress, Stage

VALIDATION_LISTENERS = 1_000
RIDGE_STRENGTHS = (3.0, 9.0, 27.0)
"""Values of `ContentMapOptions.l2` that are tried."""


@dataclass(frozen=True, slots=True)
class ContentFit(Fit):
    """How training went: scores are NDCG@10 among the validation tracks, `start` the closed form's before any epoch.

    `best_epoch` is 0 where no epoch improved on that.
    """

    start: float = 0.0
    l2: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As the record of the kind has it."""
        return Fit.to_json(self) | {"start": self.start, "l2": self.l2}


def train_content(
    encoder: ContentEncoder,
    inputs: ContentInputs,
    histories: Histories,
    options: ContentOptions,
    *,
    seed: int,
    checkpoints: Path,
    resume: bool,
    progress: Progress,
) -> tuple[keras.Model, ContentFit]:
    """Fit on pairs of tracks that one listener heard; the rows of `histories` are those of `inputs`.

    A share `validation_split` of the tracks is for validation. After each epoch the weights and the optimizer's state
    go to `checkpoints`, and `resume` goes on from there. Raises DataError with fewer than two listeners of two tracks,
    and CheckpointError when a checkpoint cannot be used.
    """
    if sum(len(history) >= 2 for history in histories) < 2:
        raise DataError(
            "content needs two listeners who keep two tracks each for training, but there are "
            f"{sum(len(history) >= 2 for history in histories)}; lower --k-core or bring more data"
        )
    trial = _Trial.draw(histories, len(inputs), options.validation_split, seed=seed)
    with progress.stage("content", 2 * options.epochs) as stage:
        maps = _closed_forms(encoder, inputs, trial.known, options, RIDGE_STRENGTHS)
        scores = [trial.score(_embeddings(content_map.factors(inputs))) for content_map in maps]
        best = int(np.argmax(scores))
        stage.advance(0, f"closed form, validation {scores[best]:.4f}")
        trainer = _Trainer(encoder, inputs, options, seed, resume, stage, progress)
        _, selection = trainer.run(maps[best], trial.known, checkpoints / "selection", options.epochs, trial)
        improved = max(selection.scores, default=0.0) > scores[best]
        epochs = selection.best_epoch if improved else 0
        (content_map,) = _closed_forms(encoder, inputs, histories, options, RIDGE_STRENGTHS[best : best + 1])
        network, _ = trainer.run(content_map, histories, checkpoints / "final", epochs, None)
        stage.advance(options.epochs - epochs)
    return network, ContentFit(epochs, selection.losses, selection.scores, scores[best], RIDGE_STRENGTHS[best])


@dataclass(frozen=True, slots=True)
class _Trial:
    """Listeners with some of their tracks held out, the same tracks for everybody; `known` has all listeners."""

    known: Histories
    asked: Histories
    relevant: Histories
    held_out: NDArray[np.bool_]

    @classmethod
    def draw(cls, histories: Histories, n_tracks: int, share: float, *, seed: int) -> _Trial:
        rng = np.random.default_rng(seed)
        heard = np.unique(np.concatenate(histories))
        held_out = np.zeros(n_tracks, np.bool_)
        held_out[rng.permutation(heard)[: max(1, int(len(heard) * share))]] = True
        known = [history[~held_out[history]] for history in histories]
        if sum(len(history) >= 2 for history in known) < 2:  # too little to spare any
            known = list(histories)
        able = [user for user, history in enumerate(histories) if len(known[user]) and held_out[history].any()]
        chosen = np.sort(rng.permutation(able)[:VALIDATION_LISTENERS]).astype(np.int64)
        asked = [known[user][~held_out[known[user]]] for user in chosen]
        relevant = [histories[user][held_out[histories[user]]] for user in chosen]
        return cls(known, asked, relevant, held_out)

    def score(self, tracks: Embeddings) -> float:
        """Mean NDCG@10 of the held-out tracks among themselves; 0 without anybody to ask."""
        if not len(self.asked):
            return 0.0

        ranks = set_ranking(nearest(tracks), self.asked, self.relevant, among=self.held_out)
        return float(ndcg(ranks, 10).mean())


@dataclass(frozen=True, slots=True)
class _Trainer:
    """Trains networks on the same inputs from different starts."""

    encoder: ContentEncoder
    inputs: ContentInputs
    options: ContentOptions
    seed: int
    resume: bool
    stage: Stage
    progress: Progress

    def run(
        self, content_map: ContentMap, histories: Histories, folder: Path, epochs: int, trial: _Trial | None
    ) -> tuple[keras.Model, Fit]:
        """Train for `epochs`, or, with a trial, until its score has not risen for `patience` epochs."""
        options, seed = self.options, self.seed
        keras.utils.set_random_seed(seed)
        heard = _heard(histories, len(self.inputs))
        # Artists of one track stay unknown: their rows could learn the track itself.
        trained_on = replace(self.inputs, artist=shared_artists(self.inputs.artist, heard))
        model = PairModel(build(self.encoder, options), trained_on, options.temperature)
        start(model.network, content_map, self.inputs)
        model.compile(
            optimizer=keras.optimizers.Adam(options.learning_rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        pairs = [history for history in histories if len(history) >= 2]
        model(np.zeros((1, 2 + options.rivals), np.int32))  # makes the variables
        model.optimizer.build(model.trainable_variables)
        record = KerasCheckpoints(folder, model, resume=self.resume)
        if record.losses:
            record.restore(len(record.losses))
            self.progress.say(f"content: resumed after epoch {len(record.losses)}")
        self.stage.advance(len(record.losses))
        for epoch in range(len(record.losses), epochs):
            if trial is not None and epoch - record.best_epoch >= options.patience:
                break
            loss = self._epoch(model, pairs, epoch)
            score = None if trial is None else trial.score(encode(model.network, self.inputs))
            record.add(loss=loss, score=score)
            self.stage.advance(1, f"loss {loss:.4f}" + ("" if score is None else f", validation {score:.4f}"))
        if trial is not None:
            self.stage.advance(self.options.epochs - len(record.losses))
        if record.losses:
            record.restore(record.best_epoch)
        return model.network, Fit(record.best_epoch, tuple(record.losses), tuple(record.scores))

    def _epoch(self, model: PairModel, histories: Histories, epoch: int) -> float:
        options = self.options
        n_pairs = min(options.pairs_per_epoch, sum(len(history) for history in histories))
        rng = np.random.default_rng([self.seed, 1, epoch])
        pairs = draw_pairs(histories, n_pairs, batch_size=options.batch_size, rng=rng)
        heard = np.flatnonzero(_heard(histories, len(self.inputs))).astype(np.int32)
        rows = np.concatenate([pairs, rng.choice(heard, (len(pairs), options.rivals))], axis=1)
        reseed(model, [self.seed, 2, epoch])
        result = model.fit(rows, np.zeros(len(rows)), batch_size=options.batch_size, shuffle=False, verbose=0)
        return float(result.history["loss"][0])


def _closed_forms(
    encoder: ContentEncoder,
    inputs: ContentInputs,
    histories: Histories,
    options: ContentOptions,
    strengths: Sequence[float],
) -> list[ContentMap]:
    """One for each strength of the ridge."""
    chosen, heard = ContentMapOptions(), _heard(histories, len(inputs))
    factors = listening_factors(histories, len(inputs), options.embedding_size, damping=chosen.damping)
    return [
        fit_content_map(inputs, factors, heard, buckets=encoder.artist_buckets, options=replace(chosen, l2=l2))
        for l2 in strengths
    ]


def _heard(histories: Histories, n_tracks: int) -> NDArray[np.bool_]:
    heard = np.zeros(n_tracks, np.bool_)
    heard[np.concatenate(histories)] = True
    return heard


def _embeddings(factors: NDArray[np.float32]) -> Embeddings:
    lengths = np.maximum(np.linalg.norm(factors, axis=1), np.float32(1e-9))
    return Embeddings(factors / lengths[:, None], lengths)


def draw_pairs(histories: Histories, n_pairs: int, *, batch_size: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Draw co-listened pairs (m, 2): two different places of one history each.

    Listeners come in proportion to the length of their history, at least 2. Of `n_pairs`, what would not fill a batch
    is left out, unless it is all.
    """
    lengths = np.asarray([len(history) for history in histories], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    rows = np.concatenate(histories)
    size = n_pairs - n_pairs % batch_size or n_pairs
    listeners = rng.choice(len(lengths), size, p=lengths / lengths.sum())
    lengths, starts = lengths[listeners], starts[listeners]
    first = rng.integers(0, lengths)
    second = (first + rng.integers(1, lengths)) % lengths
    return np.stack([rows[starts + first], rows[starts + second]], axis=1).astype(np.int32)
