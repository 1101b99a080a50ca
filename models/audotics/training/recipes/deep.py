"""Training of the deep model in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from audotics.models.deep import DeepOptions
from audotics.training.deep import train_deep
from audotics.training.progress import Progress
from audotics.training.run import Run


def options(flags: Mapping[str, Any]) -> DeepOptions:
    return DeepOptions(**flags)


def train(run: Run, options: DeepOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """The network goes on from its last epoch with `resume`."""
    folder = run.folder("deep")
    model, result = train_deep(
        run.split(),
        options,
        seed=run.options["seed"],
        checkpoints=folder / "checkpoints",
        resume=resume,
        progress=progress,
    )
    with run.saving("deep") as saved:
        model.save(saved)
    return {"options": asdict(options), "fit": result.to_json(), "validation": {"ndcg@10": result.best_score}}
