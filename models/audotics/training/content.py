"""Training of the content embedding: inputs and listening histories go in, a fitted network comes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from audotics.features.content import ContentEncoder, ContentInputs
from audotics.models.content import ContentOptions, PairModel, build
from audotics.training.checkpoints import CheckpointError
from audotics.training.loop import Fit
from audotics.training.progress import Progress, Stage

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
    each epoch the weights and the optimizer's state go to `checkpoints`, and `resume` goes on from there.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    listeners = rng.permutation([index for index, history in enumerate(histories) if len(history) >= 2])
    cut = max(1, int(len(listeners) * options.validation_split))
    training = [histories[index] for index in listeners[cut:]]
    pairs_per_epoch = min(options.pairs_per_epoch, sum(len(history) for history in training))
    model = PairModel(build(encoder, options), inputs, options.temperature)
    model.compile(
        optimizer=keras.optimizers.Adam(options.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    record = _Record(checkpoints, options, fresh=not resume)
    if record.losses:
        progress.say(f"content: resumed after epoch {len(record.losses)}")
    validation = _Pairs(
        [histories[index] for index in listeners[:cut]], VALIDATION_PAIRS, options.batch_size, [seed, 0]
    )
    with progress.stage("content", options.epochs) as stage:
        stage.advance(len(record.losses))
        record.stage = stage
        if not record.finished:
            batches = _Pairs(training, pairs_per_epoch, options.batch_size, [seed, 1], epoch=len(record.losses))
            model(batches[0][0])  # makes the variables that a checkpoint is loaded into
            backup = keras.callbacks.BackupAndRestore(str(checkpoints / "backup"))
            try:
                model.fit(
                    batches,
                    epochs=options.epochs,
                    validation_data=validation,
                    callbacks=[backup, record],
                    shuffle=False,
                    verbose=0,
                )
            except (ValueError, KeyError) as error:
                if not resume:
                    raise
                raise CheckpointError(
                    f"{checkpoints}: the checkpoint belongs to a model of another shape; "
                    "use the options it was made with, or train without --resume"
                ) from error
    model(validation[0][0])
    model.load_weights(record.weights(record.best_epoch))
    return model.network, Fit(record.best_epoch, tuple(record.losses), tuple(record.scores))


class _Pairs(keras.utils.PyDataset):
    """Batches of co-listened pairs (b, 2), drawn anew each epoch; the label of a row is its own place."""

    def __init__(
        self, histories: Sequence[NDArray[np.int32]], n_pairs: int, batch_size: int, seed: list[int], *, epoch: int = 0
    ) -> None:
        super().__init__()
        lengths = np.asarray([len(history) for history in histories], np.int64)
        self.rows = np.concatenate(histories) if len(histories) else np.zeros(0, np.int32)
        self.starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        self.lengths = lengths
        self.n_pairs, self.batch_size, self.seed, self.epoch = n_pairs, batch_size, seed, epoch
        self._draw()

    def __len__(self) -> int:
        return max(1, self.n_pairs // self.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        pairs = self.pairs[index * self.batch_size : (index + 1) * self.batch_size]
        return pairs, np.arange(len(pairs), dtype=np.int32)

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._draw()

    def _draw(self) -> None:
        """Listeners in proportion to their history's length; two different places of it."""
        rng = np.random.default_rng([*self.seed, self.epoch])
        listeners = rng.choice(len(self.lengths), self.n_pairs, p=self.lengths / self.lengths.sum())
        lengths, starts = self.lengths[listeners], self.starts[listeners]
        first = rng.integers(0, lengths)
        second = (first + rng.integers(1, lengths)) % lengths
        self.pairs = np.stack([self.rows[starts + first], self.rows[starts + second]], axis=1)


class _Record(keras.callbacks.Callback):
    """Keeps losses and weights of every epoch on disk, shows them, and stops `patience` epochs past the best."""

    def __init__(self, folder: Path, options: ContentOptions, *, fresh: bool) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.options, self.path = folder, options, folder / "losses.json"
        self.stage: Stage | None = None
        kept = {"losses": [], "scores": []} if fresh or not self.path.is_file() else json.loads(self.path.read_text())
        self.losses: list[float] = kept["losses"]
        self.scores: list[float] = kept["scores"]

    @property
    def best_epoch(self) -> int:
        return 1 + int(np.argmax(self.scores)) if self.scores else 0

    @property
    def finished(self) -> bool:
        return (
            len(self.losses) >= self.options.epochs or len(self.losses) - self.best_epoch >= self.options.patience > 0
        )

    def weights(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:03d}.weights.h5"

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        self.losses.append(float(logs["loss"]))
        self.scores.append(-float(logs["val_loss"]))
        self.model.save_weights(self.weights(len(self.losses)))
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps({"losses": self.losses, "scores": self.scores}))
        partial.replace(self.path)
        if self.stage is not None:
            self.stage.advance(1, f"loss {self.losses[-1]:.4f}, validation {-self.scores[-1]:.4f}")
        self.model.stop_training = self.finished
