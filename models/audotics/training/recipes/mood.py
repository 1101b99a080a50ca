"""Training of the mood classifier in a run on labelled tracks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audotics.models.mood import MoodOptions
from audotics.training.label_run import LabelRun
from audotics.training.mood import train_mood
from audotics.training.progress import Progress


def options(flags: Mapping[str, Any]) -> MoodOptions:
    return MoodOptions(**flags)


def train(run: LabelRun, options: MoodOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """The network goes on from its last epoch with `resume`."""
    folder = run.folder("mood")
    model, record = train_mood(
        run.data(),
        options,
        seed=run.options["seed"],
        checkpoints=folder / "checkpoints",
        resume=resume,
        progress=progress,
    )
    with run.saving("mood") as saved:
        model.save(saved)
    return record
