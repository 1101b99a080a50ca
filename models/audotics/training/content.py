"""Training of the content embedding: inputs and listening histories go in, a fitted network comes out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError
from audotics.features.content import ContentEncoder, ContentInputs
from audotics.models.content import ContentOptions, PairModel, build
from audotics.training.checkpoints import CheckpointError
from audotics.training.loop import Fit
from audotics.training.progress import Progress

VALIDATION_PAIRS = 20_000


def train_content(
    encoder: ContentEncoder,
    inputs: ContentInputs,
    histories: Sequence[NDArray[np.int32]],
    options: ContentOptions,
    *,
    seed: int,
    checkpoints: Path,
    resume: bool,
    progress: Progress,
) -> tuple[keras.Model, Fit]:
    """Fit on pairs of tracks that one listener heard; the rows of `histories` are those of `inputs`.

    A share `validation_split` of the listeners gives the validation pairs, on whose loss training stops early. After
    each epoch the weights and the optimizer's state go to `checkpoints`, and `resume` goes on from there. Raises
    DataError with fewer than two listeners of two tracks, and CheckpointError when a checkpoint cannot be used.
    """
    keras.utils.set_random_seed(seed)
    listeners = np.flatnonzero([len(history) >= 2 for history in histories])
    if len(listeners) < 2:
        raise DataError(
            f"content needs two listeners who keep two tracks each for training, but there are {len(listeners)}; "
            "lower --k-core or bring more data"
        )
    listeners = np.random.default_rng(seed).permutation(listeners)
    cut = min(max(1, int(len(listeners) * options.validation_split)), len(listeners) - 1)
    training = [histories[index] for index in listeners[cut:]]
    pairs_per_epoch = min(options.pairs_per_epoch, sum(len(history) for history in training))
    validation = draw_pairs(
        [histories[index] for index in listeners[:cut]],
        VALIDATION_PAIRS,
        batch_size=options.batch_size,
        rng=np.random.default_rng([seed, 0]),
    )
    model = PairModel(build(encoder, options), inputs, options.temperature)
    model.compile(
        optimizer=keras.optimizers.Adam(options.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model(validation[0][:1])  # makes the variables that a checkpoint is loaded into
    model.optimizer.build(model.trainable_variables)
    record = _Record(checkpoints, model, resume=resume)
    if record.losses:
        record.restore(len(record.losses))
        progress.say(f"content: resumed after epoch {len(record.losses)}")
    with progress.stage("content", options.epochs) as stage:
        stage.advance(len(record.losses))
        for epoch in range(len(record.losses), options.epochs):
            if epoch - record.best_epoch >= options.patience:
                break
            pairs, places = draw_pairs(
                training, pairs_per_epoch, batch_size=options.batch_size, rng=np.random.default_rng([seed, 1, epoch])
            )
            _reseed(model, [seed, 2, epoch])
            result = model.fit(
                pairs,
                places,
                batch_size=options.batch_size,
                validation_data=validation,
                shuffle=False,
                verbose=0,
            )
            record.add(loss=float(result.history["loss"][0]), score=-float(result.history["val_loss"][0]))
            stage.advance(1, f"loss {record.losses[-1]:.4f}, validation {-record.scores[-1]:.4f}")
    record.restore(record.best_epoch)
    return model.network, Fit(record.best_epoch, tuple(record.losses), tuple(record.scores))


def _reseed(model: keras.Model, seed: list[int]) -> None:
    """Start dropout anew: Keras keeps the states of its seed generators out of the weights that it saves."""
    rng = np.random.default_rng(seed)
    for variable in model.non_trainable_variables:
        if variable.path.endswith("seed_generator_state"):
            variable.assign(rng.integers(2**31, size=variable.shape))


def draw_pairs(
    histories: Sequence[NDArray[np.int32]], n_pairs: int, *, batch_size: int, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Draw co-listened pairs (m, 2), two different places of one history each, and their places (m,) in their batches.

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
    pairs = np.stack([rows[starts + first], rows[starts + second]], axis=1)
    return pairs.astype(np.int32), (np.arange(size) % batch_size).astype(np.int32)


class _Record:
    """Losses of all epochs, and the weights with the optimizer's state of the best and the last one, in a folder."""

    def __init__(self, folder: Path, model: keras.Model, *, resume: bool) -> None:
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path, self.model = folder, folder / "losses.json", model
        self.shapes = [list(variable.shape) for variable in model.weights]
        self.losses: list[float] = []
        self.scores: list[float] = []
        if self.path.is_file():
            self._read()

    @property
    def best_epoch(self) -> int:
        """From 1; 0 before the first epoch."""
        return 1 + int(np.argmax(self.scores)) if self.scores else 0

    def add(self, *, loss: float, score: float) -> None:
        """Note a finished epoch. The losses are written last, and never name weights that are not whole."""
        self.losses.append(loss)
        self.scores.append(score)
        partial = self.path.with_suffix(".partial")
        record = {"shapes": self.shapes, "losses": self.losses, "scores": self.scores}
        try:
            self.model.save_weights(self._weights(len(self.losses)))
            partial.write_text(json.dumps(record), "utf-8")
            partial.replace(self.path)
        except OSError as error:
            raise CheckpointError(
                f"{self.folder}: cannot write ({error.strerror or error}); the checkpoint before it is whole. "
                "Free some space and go on with --resume"
            ) from error
        kept = {self._weights(self.best_epoch), self._weights(len(self.losses))}
        for stale in set(self.folder.glob("epoch-*.weights.h5")) - kept:
            stale.unlink()

    def restore(self, epoch: int) -> None:
        path = self._weights(epoch)
        try:
            self.model.load_weights(path)
        except (OSError, KeyError, ValueError) as error:
            raise CheckpointError(f"{path}: is missing or damaged; train without --resume") from error

    def _read(self) -> None:
        try:
            kept = json.loads(self.path.read_text("utf-8"))
            shapes, self.losses, self.scores = kept["shapes"], list(kept["losses"]), list(kept["scores"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{self.path}: is not a record of losses; train without --resume") from error
        if shapes != self.shapes:
            raise CheckpointError(
                f"{self.folder}: the checkpoint belongs to a model of another shape; "
                "use the options it was made with, or train without --resume"
            )

    def _weights(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:03d}.weights.h5"
