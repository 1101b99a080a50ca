"""Training of NCF in a run: without the validation tracks, which say when to stop, and then as long with them.

An update goes on from both networks, each with the histories that it may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.models.ncf import Ncf, NcfOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.folder import RunError
from audotics.training.ncf import train_ncf
from audotics.training.ncf_update import Previous, UpdateOptions, update_ncf
from audotics.training.progress import Progress
from audotics.training.recipe import Outdated
from audotics.training.run import Run
from audotics.training.seen import Seen

VALIDATION_LISTENERS = 2_000


def options(flags: Mapping[str, Any]) -> NcfOptions:
    return NcfOptions(**flags)


def train(run: Run, options: NcfOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """Both fits go on from their last epoch with `resume`."""
    split, folder, seed = run.split(), run.folder("ncf"), run.options["seed"]
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
    _save(run, selection, final)
    return {"options": asdict(options), "fit": result.to_json(), "validation": {"ndcg@10": result.best_score}}


def update(run: Run, options: NcfOptions, outdated: Outdated, *, progress: Progress) -> dict[str, Any]:
    """Go on for a few epochs, mostly over listeners with new tracks. Nothing is resumed: it takes little time."""
    split, folder, seed = run.split(), run.folder("ncf"), run.options["seed"]
    seen, track_ids, user_ids = Seen.load(outdated.seen), split.tracks.ids, run.user_ids()
    rows = seen.rows_among(track_ids)
    changed = {
        part: _differ(seen.histories_of(user_ids, part), getattr(split, part), rows) for part in ("training", "fitting")
    }
    selection, result = update_ncf(
        Previous(_load(folder / "selection", options, rows), rows),
        split.fitting,
        changed["fitting"],
        split.tracks,
        options,
        UpdateOptions(),
        seed=seed,
        holdout=split.validation.sample(VALIDATION_LISTENERS, seed=seed),
        checkpoints=Checkpoints(folder / "checkpoints" / "update-selection"),
        progress=progress,
        title="ncf update",
    )
    final, _ = update_ncf(
        Previous(_load(folder, options, rows), rows),
        split.training,
        changed["training"],
        split.tracks,
        options,
        replace(UpdateOptions(), epochs=result.best_epoch),
        seed=seed,
        holdout=None,
        checkpoints=Checkpoints(folder / "checkpoints" / "update-final"),
        progress=progress,
        title="ncf update with the validation tracks",
    )
    _save(run, selection, final)
    return {
        "options": asdict(options),
        "fit": result.to_json(),
        "validation": {"ndcg@10": result.best_score},
        "updated": {
            "new_tracks": len(split.tracks) - len(rows),
            "changed_listeners": int(changed["training"].sum()),
            "options": asdict(UpdateOptions()),
        },
    }


def _save(run: Run, selection: Ncf, final: Ncf) -> None:
    with run.saving("ncf") as folder:
        (folder / "selection").mkdir()
        selection.save(folder / "selection")
        final.save(folder)


def _differ(
    before: list[NDArray[np.int32]], now: list[NDArray[np.int32]], rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """bool (m,): whose history has changed; `before` stands in rows of the old core, `rows` gives those of the new."""
    return np.asarray([not np.array_equal(rows[old], new) for old, new in zip(before, now, strict=True)])


def _load(folder: Path, options: NcfOptions, rows: NDArray[np.int64]) -> Ncf:
    """Raises RunError for a network over other tracks, as an update that was cut off may leave it."""
    network = Ncf.load(folder, asdict(options))
    if network.n_tracks != len(rows):
        raise RunError(
            f"{folder}: holds a network of {network.n_tracks} tracks, but it was trained on {len(rows)}; train ncf "
            "anew without --update"
        )
    return network
