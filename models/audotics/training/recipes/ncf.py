"""Training of NCF in a run: without the validation tracks, which say when to stop, and then as long with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from audotics.models.ncf import NcfOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.ncf import train_ncf
from audotics.training.progress import Progress
from audotics.training.run import Run

VALIDATION_LISTENERS = 2_000


def options(flags: Mapping[str, Any]) -> NcfOptions:
    return NcfOptions(**flags)


def train(run: Run, options: NcfOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """Both fits go on from their last epoch with `resume`."""
    split, folder, seed = run.split(), run.folder("ncf"), run.options["seed"]
    (folder / "selection").mkdir(exist_ok=True)
    selection, result = train_ncf(
        split.fitting,
        len(split.tracks),
        options,
        seed=seed,
        holdout=split.validation.sample(VALIDATION_LISTENERS, seed=seed),
        checkpoints=Checkpoints(folder / "checkpoints" / "selection"),
        resume=resume,
        progress=progress,
        tracks=split.tracks,
    )
    selection.save(folder / "selection")
    final, _ = train_ncf(
        split.training,
        len(split.tracks),
        replace(options, epochs=result.best_epoch),
        seed=seed,
        holdout=None,
        checkpoints=Checkpoints(folder / "checkpoints" / "final"),
        resume=resume,
        progress=progress,
        title="ncf with the validation tracks",
        tracks=split.tracks,
    )
    final.save(folder)
    return {"options": asdict(options), "fit": result.to_json(), "validation": {"ndcg@10": result.best_score}}
