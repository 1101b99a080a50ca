"""Training of the deep model: a split goes in, a model fitted on all of its training part comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError
from audotics.evaluation.ranking import Holdout
from audotics.features.deep import SideFeatures
from audotics.features.tracks import TrackColumns
from audotics.models.deep import DeepModel, DeepOptions, PairModel, build
from audotics.models.preprocessing import Preprocessing
from audotics.training.keras_checkpoints import KerasCheckpoints, reseed
from audotics.training.loop import Fit
from audotics.training.progress import Progress
from audotics.training.run import Split

VALIDATION_LISTENERS = 1_000
"""Whose NDCG@10 is measured after each epoch: every one of them ranks all tracks."""

SELECTION_LISTENERS = 1_000
"""On whose tracks the preprocessing is fitted."""


def train_deep(
    split: Split, options: DeepOptions, *, seed: int, checkpoints: Path, resume: bool, progress: Progress
) -> tuple[DeepModel, Fit]:
    """Find the best number of epochs by NDCG@10 on the validation tracks, then fit as long with these tracks too.

    After each epoch, weights and the optimizer's state go to `checkpoints`, and `resume` goes on from there. Returns
    the second fit's model and the first one's record. Raises DataError when nothing is known of the tracks, and
    CheckpointError when a checkpoint cannot be used.
    """
    trainer = _Trainer(split, options, seed)
    holdout = split.validation.sample(VALIDATION_LISTENERS, seed=seed)
    result = trainer.run(
        split.fitting,
        options.epochs,
        holdout=holdout,
        checkpoints=checkpoints / "selection",
        resume=resume,
        progress=progress,
        title="deep",
    )
    trainer.run(
        split.training,
        result.best_epoch,
        holdout=None,
        checkpoints=checkpoints / "final",
        resume=resume,
        progress=progress,
        title="deep with the validation tracks",
    )
    return trainer.model, result


class _Trainer:
    """A compiled network that is trained twice from the same start, since compiling it takes seconds."""

    def __init__(self, split: Split, options: DeepOptions, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        self.tracks, self.options, self.seed = split.tracks, options, seed
        features = SideFeatures.fit(split.tracks)
        rng = np.random.default_rng([seed, 0])
        preprocessing = fit_preprocessing(features, split.tracks, split.fitting, options, rng=rng)
        side = preprocessing.transform(features.encode(split.tracks))
        network = build(n_users=len(split.fitting), n_tracks=len(split.tracks), n_side=side.shape[1], options=options)
        self.model = DeepModel(network, features, preprocessing)
        self.pairs = PairModel(network, side)
        self.pairs.compile(optimizer=keras.optimizers.Adam(options.learning_rate), loss="binary_crossentropy")
        self.pairs(np.zeros((1, 3), np.int32))  # makes the variables that a checkpoint is loaded into
        self.pairs.optimizer.build(self.pairs.trainable_variables)
        self.variables = [*self.pairs.variables, *self.pairs.optimizer.variables]
        self.start = [keras.ops.convert_to_numpy(variable).copy() for variable in self.variables]

    def run(
        self,
        histories: Sequence[NDArray[np.int32]],
        epochs: int,
        *,
        holdout: Holdout | None,
        checkpoints: Path,
        resume: bool,
        progress: Progress,
        title: str,
    ) -> Fit:
        """Train from the start, stopping early when there is a `holdout`, and leave the best weights in the model."""
        options = self.options
        for variable, value in zip(self.variables, self.start, strict=True):
            variable.assign(value)
        record = KerasCheckpoints(checkpoints, self.pairs, resume=resume)
        if record.losses:
            record.restore(len(record.losses))
            progress.say(f"{title}: resumed after epoch {len(record.losses)}")
        scorer = self.model.scorer(self.tracks, histories)
        with progress.stage(title, epochs) as stage:
            stage.advance(len(record.losses))
            for epoch in range(len(record.losses), epochs):
                if holdout is not None and epoch - record.best_epoch >= options.patience:
                    break
                reseed(self.pairs, [self.seed, 2, epoch])
                rng = np.random.default_rng([self.seed, 1, epoch])
                pairs, labels = draw_examples(histories, len(self.tracks), options, rng=rng)
                history = self.pairs.fit(pairs, labels, batch_size=options.batch_size, shuffle=False, verbose=0)
                score = None if holdout is None else holdout.evaluate(scorer)["ndcg@10"]
                record.add(loss=float(history.history["loss"][0]), score=score)
                note = f"loss {record.losses[-1]:.4f}"
                stage.advance(1, note if score is None else f"{note}, validation {score:.4f}")
        record.restore(record.best_epoch)
        return Fit(record.best_epoch, tuple(record.losses), tuple(record.scores))


def fit_preprocessing(
    features: SideFeatures,
    tracks: TrackColumns,
    histories: Sequence[NDArray[np.int32]],
    options: DeepOptions,
    *,
    rng: np.random.Generator,
) -> Preprocessing:
    """Keep the side features that tell listeners apart, and project them.

    A feature ranks by ANOVA's F with a class a listener: how much it differs between the tracks of different listeners,
    in units of how much it does between those of one. How well it goes with a track's plays was tried in place of that,
    and can leave out every feature of taste. Raises DataError when no feature differs between tracks.
    """
    columns = features.encode(tracks)
    if not len(columns) or not np.ptp(np.nan_to_num(columns, nan=0.0), axis=0).any():
        raise DataError(
            "no track has audio features, or a tag that a second track has too, and deep learns from these; bring a "
            "catalogue with such columns"
        )
    listeners = rng.permutation(np.flatnonzero([len(history) > 0 for history in histories]))[:SELECTION_LISTENERS]
    heard = np.concatenate([histories[listener] for listener in listeners])
    classes = np.repeat(listeners, [len(histories[listener]) for listener in listeners])
    # A feature that no listener's tracks differ in has an infinite F, which is right, and no reason to warn.
    with np.errstate(divide="ignore", invalid="ignore"):
        return Preprocessing.fit(
            columns[heard], classes.astype(np.int64), selected=options.selected, components=options.components
        )


def draw_examples(
    histories: Sequence[NDArray[np.int32]], n_tracks: int, options: DeepOptions, *, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """One epoch, shuffled: rows (user, track, row of the track's side features) int32 (m, 3) and labels (m,).

    Every pair heard stands there with label 1 beside `negatives` uniform draws with label 0, of which those that the
    listener has heard are left out. Hidden listeners and tracks have the last row of their table, one past the rest.
    """
    heard_users = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    heard_tracks = np.concatenate(histories).astype(np.int64)
    keys = np.sort(heard_users * n_tracks + heard_tracks)
    users = np.repeat(heard_users, options.negatives)
    tracks = rng.integers(0, n_tracks, len(users))
    drawn = users * n_tracks + tracks
    new = keys[np.minimum(np.searchsorted(keys, drawn), len(keys) - 1)] != drawn
    users = np.concatenate([heard_users, users[new]])
    tracks = np.concatenate([heard_tracks, tracks[new]])
    labels = np.zeros(len(users), np.float32)
    labels[: len(heard_users)] = 1.0
    hidden_users = rng.random(len(users)) < options.hidden_listeners
    hidden_tracks = rng.random(len(users)) < options.hidden_tracks
    pairs = np.stack(
        [np.where(hidden_users, len(histories), users), np.where(hidden_tracks, n_tracks, tracks), tracks], axis=1
    )
    order = rng.permutation(len(users))
    return pairs[order].astype(np.int32), labels[order]
