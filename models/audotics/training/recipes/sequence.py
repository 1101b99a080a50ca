"""Training of the sequence model in a run: transitions are counted without and with the validation tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from audotics.models.sequence import SequenceOptions
from audotics.training.progress import Progress
from audotics.training.run import Run
from audotics.training.sequence import train_sequence


def options(flags: Mapping[str, Any]) -> SequenceOptions:
    return SequenceOptions(**flags)


def train(run: Run, options: SequenceOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """Counting takes a second: there is nothing to resume."""
    result = train_sequence(run.split(), options, seed=run.options["seed"], progress=progress)
    with run.saving("sequence") as folder:
        (folder / "selection").mkdir()
        result.selection.save(folder / "selection")
        result.final.save(folder)
    return {"options": asdict(result.final.options), "validation": {"ndcg@10": result.score}}
