"""The training loop of PyTorch models: epochs with early stopping, checkpoints and resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audotics.training.adam import Adam
from audotics.training.checkpoints import CheckpointError, Checkpoints
from audotics.training.progress import Progress


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to train: at most `epochs`, and no further than `patience` epochs past the best validation score.

    Without validation the last epoch counts.
    """

    epochs: int
    patience: int
    learning_rate: float
    seed: int


@dataclass(frozen=True, slots=True)
class Fit:
    """How training went. `best_epoch` counts from 1; losses and scores have one entry an epoch."""

    best_epoch: int
    losses: tuple[float, ...]
    scores: tuple[float, ...]

    @property
    def best_score(self) -> float:
        return self.scores[self.best_epoch - 1] if self.scores else float("nan")

    def to_json(self) -> dict[str, Any]:
        """As the record of a kind has it."""
        return {"best_epoch": self.best_epoch, "losses": self.losses, "scores": self.scores}


def fit(
    model: nn.Module,
    schedule: Schedule,
    *,
    batches: Callable[[np.random.Generator], list[Callable[[], Tensor]]],
    validate: Callable[[], float] | None,
    checkpoints: Checkpoints,
    resume: bool,
    progress: Progress,
    title: str,
) -> Fit:
    """Train `model` in place and leave the parameters of its best epoch in it.

    `batches` draws one epoch as a list of loss functions, with a generator seeded by the schedule's seed and the epoch,
    so that a resumed run sees the batches an uninterrupted one would have seen. `validate` returns a score, higher is
    better. Raises CheckpointError when a checkpoint to resume from belongs to a model of another shape.
    """
    optimizer = Adam(model.parameters(), learning_rate=schedule.learning_rate)
    losses: list[float] = []
    scores: list[float] = []
    best_epoch = 0
    if not resume:
        checkpoints.clear()
    state = checkpoints.last() if resume else None
    if state is not None:
        try:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{checkpoints.folder}: the checkpoint belongs to a model of another shape; "
                "use the options it was made with, or train without --resume"
            ) from error
        losses, scores, best_epoch = list(state["losses"]), list(state["scores"]), int(state["best_epoch"])
        progress.say(f"{title}: resumed after epoch {len(losses)}")
    with progress.stage(title, schedule.epochs) as stage:
        stage.advance(len(losses))
        for epoch in range(len(losses), schedule.epochs):
            if validate is not None and epoch - best_epoch >= schedule.patience:
                break
            losses.append(run_epoch(model, optimizer, batches, np.random.default_rng([schedule.seed, epoch])))
            if validate is not None:
                scores.append(validate())
            if validate is None or not best_epoch or scores[-1] > scores[best_epoch - 1]:
                best_epoch = epoch + 1
            checkpoints.save(
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "losses": losses,
                    "scores": scores,
                    "best_epoch": best_epoch,
                },
                best=best_epoch == epoch + 1,
            )
            stage.advance(1, f"loss {losses[-1]:.4f}" + (f", validation {scores[-1]:.4f}" if scores else ""))
    best = checkpoints.best()
    if best is not None:
        model.load_state_dict(best["model"])
    model.eval()
    return Fit(best_epoch, tuple(losses), tuple(scores))


def run_epoch(
    model: nn.Module,
    optimizer: Adam,
    batches: Callable[[np.random.Generator], Sequence[Callable[[], Tensor]]],
    rng: np.random.Generator,
) -> float:
    """One step for each of the loss functions that `batches` draws; the mean loss."""
    torch.manual_seed(int(rng.integers(2**31)))
    model.train()
    total = 0.0
    steps = batches(rng)
    for loss_of in steps:
        optimizer.clear()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
    return total / max(len(steps), 1)
