"""Training of the group model in a run: on groups as a source has them, or on some simulated from single listeners.

An update goes on from the network of the same groups. Simulated ones are drawn anew from more data, so what the earlier
network was trained on may be held out now: on those it is trained from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from audotics.models.group import GroupModel, GroupOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.folder import RunError, RunFolder
from audotics.training.group import GroupStart, train_group
from audotics.training.group_data import groups_of
from audotics.training.group_run import GroupRun
from audotics.training.progress import Progress
from audotics.training.recipe import Outdated
from audotics.training.seen import Seen


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
    with run.saving("group") as saved:
        model.save(saved)
    return {"options": asdict(options), **result.to_json()}


def update(run: RunFolder, options: GroupOptions, outdated: Outdated, *, progress: Progress) -> dict[str, Any]:
    """Raises RunError when the earlier model does not fit what was recorded of it."""
    if not isinstance(run, GroupRun):
        return train(run, options, resume=False, progress=progress)
    folder, data = run.folder("group"), run.data()
    earlier, rows = GroupModel.load(folder), Seen.load(outdated.seen).rows_among(data.tracks.ids)
    if earlier.n_tracks != len(rows) or earlier.taste_size != data.taste.shape[1]:
        raise RunError(f"{folder}: holds a model of other data than was recorded; train group anew without --update")
    model, result = train_group(
        data,
        options,
        seed=run.options["seed"],
        checkpoints=Checkpoints(folder / "checkpoints" / "update"),
        resume=False,
        progress=progress,
        start=GroupStart(earlier, rows, outdated.record["l2"], outdated.record["item_exponent"]),
    )
    with run.saving("group") as saved:
        model.save(saved)
    return {"options": asdict(options), **result.to_json(), "updated": {"new_tracks": data.n_tracks - len(rows)}}
