"""The training loop: resume, early stopping, and checkpoints of something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audotics.training.checkpoints import CheckpointError, Checkpoints
from audotics.training.loop import Fit, Schedule, fit
from audotics.training.progress import Quiet

TRUTH = torch.tensor([1.0, -2.0, 0.5])


class Regression:
    """A small network that learns a linear function from noisy batches, with dropout to make randomness matter."""

    def __init__(self, hidden: int = 8) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, hidden), nn.Dropout(0.2), nn.ReLU(), nn.Linear(hidden, 1))

    def batches(self, rng: np.random.Generator) -> list[Callable[[], Tensor]]:
        inputs = torch.from_numpy(rng.normal(size=(5, 16, 3)).astype(np.float32))

        def loss(batch: Tensor) -> Tensor:
            return ((self.model(batch).squeeze(-1) - batch @ TRUTH) ** 2).mean()

        return [lambda batch=batch: loss(batch) for batch in inputs]

    def fit(
        self,
        folder: Path,
        *,
        epochs: int,
        patience: int = 100,
        validation: Sequence[float] | None = None,
        resume: bool = False,
    ) -> Fit:
        """Train; `validation` gives the scores of the epochs that are still to come."""
        scores = iter(validation or ())
        return fit(
            self.model,
            Schedule(epochs, patience, learning_rate=0.01, seed=3),
            batches=self.batches,
            validate=(lambda: next(scores)) if validation is not None else None,
            checkpoints=Checkpoints(folder),
            resume=resume,
            progress=Quiet(),
            title="regression",
        )

    @property
    def parameters(self) -> dict[str, list[float]]:
        return {name: value.flatten().tolist() for name, value in self.model.state_dict().items()}


def test_training_learns(tmp_path: Path) -> None:
    result = Regression().fit(tmp_path, epochs=30)

    assert len(result.losses) == 30
    assert result.losses[-1] < 0.5 * result.losses[0]
    assert result.best_epoch == 30
    assert np.isnan(result.best_score)


def test_equal_seeds_give_equal_parameters(tmp_path: Path) -> None:
    first, second = Regression(), Regression()
    first.fit(tmp_path / "first", epochs=3)
    second.fit(tmp_path / "second", epochs=3)

    assert first.parameters == second.parameters


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole, before, after = Regression(), Regression(), Regression()
    expected = whole.fit(tmp_path / "whole", epochs=7, validation=[1, 2, 3, 4, 5, 6, 7])

    before.fit(tmp_path / "parts", epochs=3, validation=[1, 2, 3])
    actual = after.fit(tmp_path / "parts", epochs=7, validation=[4, 5, 6, 7], resume=True)

    assert actual == expected
    assert after.parameters == whole.parameters
    assert after.parameters != before.parameters


def test_a_run_killed_within_an_epoch_loses_that_epoch_alone(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    class Interrupted(Regression):
        def batches(self, rng: np.random.Generator) -> list[Callable[[], Tensor]]:
            steps = super().batches(rng)
            self.epochs = getattr(self, "epochs", 0) + 1
            if self.epochs == 4:

                def kill() -> Tensor:
                    raise KilledError

                steps[2] = kill
            return steps

    whole, after = Regression(), Regression()
    expected = whole.fit(tmp_path / "whole", epochs=6)
    with pytest.raises(KilledError):
        Interrupted().fit(tmp_path / "parts", epochs=6)
    actual = after.fit(tmp_path / "parts", epochs=6, resume=True)

    assert actual == expected
    assert after.parameters == whole.parameters


def test_training_anew_forgets_what_was(tmp_path: Path) -> None:
    Regression().fit(tmp_path, epochs=5)
    again, fresh = Regression(), Regression()

    assert again.fit(tmp_path, epochs=2) == fresh.fit(tmp_path / "fresh", epochs=2)
    assert again.parameters == fresh.parameters


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    stopped, best = Regression(), Regression()

    result = stopped.fit(tmp_path / "a", epochs=50, patience=3, validation=[0.1, 0.5, 0.4, 0.3, 0.5, 0.9])
    best.fit(tmp_path / "b", epochs=2)

    assert result.best_epoch == 2
    assert result.best_score == 0.5
    assert result.scores == (0.1, 0.5, 0.4, 0.3, 0.5)
    assert stopped.parameters == best.parameters
    assert not stopped.model.training


def test_a_finished_run_is_not_trained_further(tmp_path: Path) -> None:
    Regression().fit(tmp_path, epochs=50, patience=1, validation=[3, 2])

    result = Regression().fit(tmp_path, epochs=50, patience=1, validation=[], resume=True)

    assert result.scores == (3, 2)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    Regression(hidden=8).fit(tmp_path, epochs=1)

    with pytest.raises(CheckpointError, match=f"{tmp_path}: .*another shape.*without --resume"):
        Regression(hidden=9).fit(tmp_path, epochs=2, resume=True)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save({"anything": 1}, best=False)

    with pytest.raises(CheckpointError, match=f"{tmp_path}: "):
        Regression().fit(tmp_path, epochs=2, resume=True)
