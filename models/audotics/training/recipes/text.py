"""Training of the text embedding in a run: TF-IDF over the words of the tracks that others are trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from audotics.models.text import TextOptions
from audotics.training.progress import Progress
from audotics.training.run import Run
from audotics.training.text import train_text


def options(flags: Mapping[str, Any]) -> TextOptions:
    return TextOptions(**flags)


def train(run: Run, options: TextOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """Closed form: there is nothing to resume."""
    split = run.split()
    model = train_text(split.tracks, options, seed=run.options["seed"], progress=progress)
    with run.saving("text") as folder:
        model.save(folder)
        np.save(folder / "vectors.npy", model.vectors(split.tracks))
    return {"options": asdict(options)} | model.record
