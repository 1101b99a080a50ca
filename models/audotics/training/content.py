"""Training of the content embedding: inputs and listening histories go in, a fitted network comes out.

The embedding is for tracks that nobody has heard, and speaks beside the other models for those that somebody has, so
it is validated on both (`content_trial.py`): a share of the tracks is kept out of all pairs and out of the closed form
that the network starts as, and training stops when nothing is found better. What it then comes to is a blend of the
closed form and the trained network, for the one is better with unheard tracks and the other with heard ones. Then all
tracks are trained on, for as many epochs, and blended alike.
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
from audotics.evaluation.ranking import Histories
from audotics.features.content import ContentEncoder, ContentInputs
from audotics.models.content import ContentOptions, PairModel, blended, build, encode, start
from audotics.models.content_map import (
    ContentMap,
    ContentMapOptions,
    fit_content_map,
    listening_factors,
    shared_artists,
)
from audotics.training.content_trial import ContentTrial
from audotics.training.keras_checkpoints import KerasCheckpoints, reseed
from audotics.training.loop import Fit
from audotics.training.progress import Progress, Stage

RIDGE_STRENGTHS = (3.0, 9.0, 27.0)
"""Values of `ContentMapOptions.l2` that are tried."""


@dataclass(frozen=True, slots=True)
class ContentFit(Fit):
    """How training went: scores are those of `ContentTrial`, `start` the closed form's before any epoch.

    `best_epoch` is 0 where no epoch improved on that. `share` and `exponent` are those of the blend.
    """

    start: float = 0.0
    l2: float = 0.0
    share: float = 0.0
    exponent: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """As the record of the kind has it."""
        own = {"start": self.start, "l2": self.l2, "share": self.share, "exponent": self.exponent}
        return Fit.to_json(self) | own


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
    trial = ContentTrial.draw(histories, len(inputs), options.validation_split, seed=seed)
    with progress.stage("content", 2 * options.epochs) as stage:
        maps = _closed_forms(encoder, inputs, trial.known, options, RIDGE_STRENGTHS)
        starts = [trial.best(_sums(content_map, inputs)) for content_map in maps]
        best = int(np.argmax([score for score, _ in starts]))
        start_score, blend = starts[best]
        stage.advance(0, f"closed form, validation {start_score:.4f}")
        trainer = _Trainer(encoder, inputs, options, seed, resume, stage, progress)
        network, selection = trainer.run(maps[best], trial.known, checkpoints / "selection", options.epochs, trial)
        epochs = 0
        if max(selection.scores, default=0.0) > start_score:
            epochs = selection.best_epoch
            _, blend = trial.best(_sums(maps[best], inputs), _trained_sums(network, inputs))
        (content_map,) = _closed_forms(encoder, inputs, histories, options, RIDGE_STRENGTHS[best : best + 1])
        network, _ = trainer.run(content_map, histories, checkpoints / "final", epochs, None)
        network = blended(network, content_map, encoder, inputs, options, blend)
        stage.advance(options.epochs - epochs)
    return network, ContentFit(
        epochs,
        selection.losses,
        selection.scores,
        start=start_score,
        l2=RIDGE_STRENGTHS[best],
        share=blend.share,
        exponent=blend.exponent,
    )


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
        self, content_map: ContentMap, histories: Histories, folder: Path, epochs: int, trial: ContentTrial | None
    ) -> tuple[keras.Model, Fit]:
        """Train for `epochs`, or, with a trial, until its score has not risen for `patience` epochs."""
        options, seed = self.options, self.seed
        keras.utils.set_random_seed(seed)
        heard = _heard(histories, len(self.inputs))
        # Artists of one track stay unknown: their rows could learn the track itself.
        trained_on = replace(self.inputs, artist=shared_artists(self.inputs.artist, heard))
        model = PairModel(build(self.encoder, options), trained_on, options.temperature)
        start(model.network, content_map, self.inputs)
        begun = _sums(content_map, self.inputs)
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
            score = None if trial is None else trial.best(begun, _trained_sums(model.network, self.inputs))[0]
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


def _sums(content_map: ContentMap, inputs: ContentInputs) -> NDArray[np.float32]:
    """Sums of the network that starts as `content_map`, 1 long on average, float32 (n, d)."""
    factors = content_map.factors(inputs)
    return factors / max(float(np.linalg.norm(factors, axis=1).mean()), 1e-9)


def _trained_sums(network: keras.Model, inputs: ContentInputs) -> NDArray[np.float32]:
    """Of a network that is no blend yet, float32 (n, d), in units of L."""
    tracks = encode(network, inputs)
    return tracks.vectors * tracks.lengths[:, None]


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
