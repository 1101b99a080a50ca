"""Checkpoints of a training loop: its state goes to disk after each epoch, whole or not at all, and comes back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


class CheckpointError(Exception):
    """A checkpoint cannot be used. The message names the file, the reason, and what to do."""


class Checkpoints:
    """Two files in a folder: `last.pt` to go on from, `best.pt` to keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"{folder}: cannot be made a folder of checkpoints ({error.strerror}); choose another --output"
            ) from error

    def save(self, state: dict[str, Any], *, best: bool) -> None:
        """Write the state of a finished epoch. A crash or a full disk leaves the previous files as they were."""
        for name in ("last.pt", "best.pt") if best else ("last.pt",):
            partial = self.folder / f".{name}.partial"
            try:
                with partial.open("wb") as stream:
                    torch.save(state, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                partial.replace(self.folder / name)
            except OSError as error:
                partial.unlink(missing_ok=True)
                raise CheckpointError(
                    f"{self.folder / name}: cannot write ({error.strerror}); the checkpoint before it is whole. "
                    "Free some space and go on with --resume"
                ) from error

    def last(self) -> dict[str, Any] | None:
        return self._read("last.pt")

    def best(self) -> dict[str, Any] | None:
        return self._read("best.pt")

    def clear(self) -> None:
        for name in ("last.pt", "best.pt"):
            (self.folder / name).unlink(missing_ok=True)

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
        except Exception as error:  # torch.load raises whatever its parser of a damaged file meets
            raise CheckpointError(f"{path}: is not a whole checkpoint; train without --resume") from error
        return state
