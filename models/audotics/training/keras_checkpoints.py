"""Checkpoints of Keras models: weights and losses go to disk after each epoch, whole or not at all, and come back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np

from audotics.training.checkpoints import CheckpointError


class KerasCheckpoints:
    """Losses of all epochs, and the weights with the optimizer's state of the best and the last one, in a folder.

    `model` is compiled, and its variables and its optimizer's exist. Without scores, the last epoch is the best.
    """

    def __init__(self, folder: Path, model: keras.Model, *, resume: bool) -> None:
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"{folder}: cannot be made a folder of checkpoints ({error.strerror}); choose another --output"
            ) from error
        self.folder, self.path, self.model = folder, folder / "losses.json", model
        self.shapes = [list(variable.shape) for variable in model.weights]
        self.losses: list[float] = []
        self.scores: list[float] = []
        if self.path.is_file():
            self._read()

    @property
    def best_epoch(self) -> int:
        """From 1; 0 before the first epoch."""
        return 1 + int(np.argmax(self.scores)) if self.scores else len(self.losses)

    def add(self, *, loss: float, score: float | None) -> None:
        """Note a finished epoch. The losses are written last, and never name weights that are not whole."""
        self.losses.append(loss)
        if score is not None:
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
        """Put the weights of a kept epoch into the model."""
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


def reseed(model: keras.Model, seed: list[int]) -> None:
    """Start dropout anew: Keras keeps the states of its seed generators out of the weights that it saves."""
    rng = np.random.default_rng(seed)
    for variable in model.non_trainable_variables:
        if variable.path.endswith("seed_generator_state"):
            variable.assign(rng.integers(2**31, size=variable.shape))
