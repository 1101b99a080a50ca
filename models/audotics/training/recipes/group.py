"""Training of the group model in a run: on groups as a source has them, or on some simulated from single listeners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from audotics.models.group import GroupOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.folder import RunFolder
from audotics.training.group import train_group
from audotics.training.group_data import groups_of
from audotics.training.progress import Progress


def options(flags: Mapping[str, Any]) -> GroupOptions:
    return GroupOptions(**flags)


def train(run: RunFolder, options: GroupOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """The network goes on from its last epoch with `resume`."""
    folder = run.folder("group")
    model, result = train_group(
        groups_of(run),
        options,
        seed=run.options["seed"],
        checkpoints=Checkpoints(folder / "checkpoints"),
        resume=resume,
        progress=progress,
    )
    model.save(folder)
    return {"options": asdict(options), **result.to_json()}
