"""Training of the genre classifier in a run on labelled tracks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audotics.models.genre import GenreOptions
from audotics.training.genre import train_genre
from audotics.training.label_run import LabelRun
from audotics.training.progress import Progress


def options(flags: Mapping[str, Any]) -> GenreOptions:
    return GenreOptions(**flags)


def train(run: LabelRun, options: GenreOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """With `resume`, a search of hyper-parameters that was finished is not made again."""
    folder = run.folder("genre")
    model, record = train_genre(
        run.data(),
        options,
        seed=run.options["seed"],
        checkpoints=folder / "checkpoints",
        resume=resume,
        progress=progress,
    )
    with run.saving("genre") as saved:
        model.save(saved)
    return record
