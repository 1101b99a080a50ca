"""Pre-training goes its planned way, whether it is interrupted or not, and the average follows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audotics.training.averaging import Averaged
from audotics.training.checkpoints import CheckpointError, Checkpoints
from audotics.training.pretraining import LAST_RATE, Plan, pretrain
from audotics.training.progress import Progress, Quiet

PLAN = Plan(epochs=6, learning_rate=0.1, weight_decay=0.0, seed=3, checkpoint_every_s=0.0)
STEPS = 5


class Line(nn.Module):
    """slope · x + offset, and a parameter that no loss touches."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))
        self.offset = nn.Parameter(torch.zeros(1))
        self.idle = nn.Parameter(torch.ones(1))


def distance(line: Line, x: float) -> Tensor:
    """From the line 2·x - 1."""
    return ((line.slope * x + line.offset - (2 * x - 1)) ** 2).sum()


def run(
    line: Line,
    plan: Plan,
    folder: Path,
    *,
    resume: bool = False,
    interrupt_after: int | None = None,
    progress: Progress | None = None,
) -> tuple[float, ...]:
    """`interrupt_after` epochs a KeyboardInterrupt comes while batches are drawn."""
    drawn = 0

    def batches(rng: np.random.Generator) -> list[Callable[[], Tensor]]:
        nonlocal drawn
        if drawn == interrupt_after:
            raise KeyboardInterrupt
        drawn += 1
        return [partial(distance, line, float(x)) for x in rng.normal(size=STEPS)]

    return pretrain(
        line,
        plan,
        batches=batches,
        checkpoints=Checkpoints(folder),
        resume=resume,
        progress=progress or Quiet(),
        title="line",
    )


def test_the_loss_falls_and_what_is_not_touched_stays(tmp_path: Path) -> None:
    line = Line()

    losses = run(line, PLAN, tmp_path)

    assert len(losses) == 6
    assert losses[-1] < 0.2 * losses[0]
    assert line.idle.item() == 1.0


def test_an_interrupted_run_ends_where_a_whole_one_does(tmp_path: Path) -> None:
    whole, broken, resumed = Line(), Line(), Line()
    losses = run(whole, PLAN, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(broken, PLAN, tmp_path / "broken", interrupt_after=3)

    assert run(resumed, PLAN, tmp_path / "broken", resume=True) == losses
    assert resumed.slope.item() == whole.slope.item()
    assert run(Line(), PLAN, tmp_path / "broken", resume=True) == losses, "nothing is left to do"


def test_short_epochs_are_saved_together(tmp_path: Path) -> None:
    plan = replace(PLAN, checkpoint_every_s=3_600.0)
    with pytest.raises(KeyboardInterrupt):
        run(Line(), plan, tmp_path, interrupt_after=3)
    assert Checkpoints(tmp_path).last() is None

    losses = run(Line(), plan, tmp_path, resume=True)

    saved = Checkpoints(tmp_path).last()
    assert saved is not None
    assert saved["losses"] == list(losses)
    assert len(losses) == plan.epochs


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    losses = run(Line(), PLAN, tmp_path)

    assert run(Line(), PLAN, tmp_path) == losses


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    run(Line(), PLAN, tmp_path)
    line = Line()
    line.slope = nn.Parameter(torch.zeros(2))

    with pytest.raises(CheckpointError, match=r"belongs to a model of another shape; use the options it was made with"):
        run(line, PLAN, tmp_path, resume=True)


def test_steps_shrink_in_a_straight_line() -> None:
    rates = [PLAN.rate(epoch) for epoch in range(PLAN.epochs)]

    np.testing.assert_allclose(rates, np.linspace(0.1, 0.1 * LAST_RATE, 6))
    assert Plan(epochs=1, learning_rate=0.1, weight_decay=0.0, seed=0).rate(0) == 0.1


def test_only_what_is_named_is_kept_from_decay(tmp_path: Path) -> None:
    decayed, kept = Line(), Line()
    for line in (decayed, kept):
        nn.init.ones_(line.slope)
        nn.init.zeros_(line.offset)

    for line, undecayed in ((decayed, ()), (kept, ("slope",))):
        plan = Plan(epochs=2, learning_rate=0.01, weight_decay=5.0, seed=0, undecayed=undecayed)
        pretrain(
            line,
            plan,
            batches=lambda rng, line=line: [lambda: 0.0 * line.slope.sum()] * STEPS,
            checkpoints=Checkpoints(tmp_path / "-".join(("decay", *undecayed))),
            resume=False,
            progress=Quiet(),
            title="line",
        )

    assert decayed.slope.item() == pytest.approx((1 - 0.01 * 5) ** STEPS * (1 - 0.01 * LAST_RATE * 5) ** STEPS)
    assert kept.slope.item() == 1.0


def test_the_average_is_one_of_the_last_steps() -> None:
    averaged = Averaged(Line(), decay=0.5)
    for value in (1.0, 2.0, 3.0, 4.0, 4.0, 4.0):
        nn.init.constant_(averaged.network.slope, value)
        averaged.follow()

    assert 3.5 < averaged.average.slope.item() < 4.0
    assert not averaged.average.slope.requires_grad
    assert averaged.network.slope.item() == 4.0


def test_the_average_remembers_no_more_than_there_was() -> None:
    averaged = Averaged(Line(), decay=0.999)
    for _ in range(100):
        nn.init.ones_(averaged.network.slope)
        averaged.follow()

    assert averaged.average.slope.item() > 0.99
