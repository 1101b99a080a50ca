"""Training of the hybrid's gate in a run, on what the other kinds say of the validation tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from audotics.models.hybrid import HybridOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.ensemble import load_ensemble
from audotics.training.folder import RunError
from audotics.training.hybrid import train_hybrid
from audotics.training.kinds import KINDS, WEIGHED
from audotics.training.progress import Progress
from audotics.training.run import Run


def options(flags: Mapping[str, Any]) -> HybridOptions:
    return HybridOptions(**flags)


def train(run: Run, options: HybridOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """Raises RunError before what it weighs is trained; a kind whose package is not installed is left out."""
    untrained = [kind for kind in WEIGHED if kind not in run.kinds]
    missing = [kind for kind in untrained if KINDS[kind].absent is None]
    if missing:
        raise RunError(
            f"{run.path}: the hybrid weighs models that are not trained yet: {', '.join(missing)}; "
            "train them first, or all at once with `audotics train all`"
        )
    for kind in untrained:
        progress.say(f"hybrid: goes without {kind}: {KINDS[kind].absent}")
    split, folder = run.split(), run.folder("hybrid")
    gate, result, calibration = train_hybrid(
        load_ensemble(run, split, selection=True),
        split.validation,
        options,
        seed=run.options["seed"],
        checkpoints=Checkpoints(folder / "checkpoints"),
        resume=resume,
        progress=progress,
    )
    with run.saving("hybrid") as saved:
        gate.save(saved)
    return {
        "options": asdict(options),
        "fit": result.to_json(),
        "validation": {"ndcg@10": result.best_score} | calibration,
    }
