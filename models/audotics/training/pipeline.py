"""Training of a run, kind by kind: each kind's model goes to its folder, and a record of it to `run.json`.

After the data of a run have grown, `update` brings its kinds up to them: those that can go on from what they were, the
others by training anew, which takes them seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Final

from audotics.data.dataset import DataError
from audotics.training.folder import RunError, RunFolder
from audotics.training.kinds import KINDS, WEIGHED, suitable
from audotics.training.progress import Progress
from audotics.training.recipe import Outdated, Updating, load_recipe, options_of

NO_FLAGS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})


def train(
    run: RunFolder,
    kinds: Sequence[str],
    flags: Mapping[str, Mapping[str, Any]] = NO_FLAGS,
    *,
    resume: bool,
    progress: Progress,
    leave_out: bool = False,
) -> dict[str, dict[str, Any]]:
    """Train `kinds`, in the order of KINDS, and return their records; `flags` has options by kind that are not default.

    With `resume`, kinds that were finished with the same options are kept, and one that was interrupted goes on from
    its last checkpoint. With `leave_out`, a kind that the data are too poor for is left out with a line that says why,
    and has no record. Raises RunError for a kind that this run's data do not suit, and what the kind raises; DataError
    too where every kind would be left out.
    """
    for kind in kinds:
        if run.task not in KINDS[kind].tasks:
            raise RunError(
                f"{run.path}: is a run on {run.task}, which {kind} cannot be trained on; it suits "
                f"{', '.join(suitable(run.task))}"
            )
    left_out: dict[str, str] = {}
    for kind in (kind for kind in KINDS if kind in kinds):
        options = options_of(kind, flags.get(kind, {}))
        requested = asdict(options)
        if resume and run.kinds.get(kind, {}).get("requested") == requested:
            progress.say(f"{kind}: kept, it was finished with the same options")
            continue
        started = time.monotonic()
        try:
            if weighed := [name for name in WEIGHED if kind == "hybrid" and name in left_out]:
                raise DataError(f"it weighs {', '.join(weighed)}, which was left out too")
            record = load_recipe(kind).train(run, options, resume=resume, progress=progress)
        except DataError as error:
            left_out[kind] = str(error)
            if not leave_out or len(left_out) == len(kinds):
                raise
            progress.say(f"{kind}: left out: {error}")
            continue
        run.record(kind, record | {"requested": requested, "seconds": round(time.monotonic() - started, 2)})
    trained = run.kinds
    return {kind: trained[kind] for kind in kinds if kind not in left_out}


def update(
    run: RunFolder, kinds: Sequence[str], flags: Mapping[str, Mapping[str, Any]] = NO_FLAGS, *, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Bring `kinds` up to the run's data, with the options that each was trained with, and return their records.

    Those that are up to date are kept. Raises RunError as `options_of_update` does, and what the kinds raise.
    """
    requested = options_of_update(run, kinds, flags)
    for kind in (kind for kind in KINDS if kind in kinds):
        outdated = run.outdated.get(kind)
        if outdated is None:
            progress.say(f"{kind}: kept, nothing is new since it was trained")
            continue
        started, recipe = time.monotonic(), load_recipe(kind)
        if isinstance(recipe, Updating):
            seen = run.path / outdated["seen"]
            record = recipe.update(run, requested[kind], Outdated(outdated, seen), progress=progress)
        else:
            record = recipe.train(run, requested[kind], resume=False, progress=progress)
        seconds = round(time.monotonic() - started, 2)
        run.record(kind, record | {"requested": outdated["requested"], "seconds": seconds})
    trained = run.kinds
    return {kind: trained[kind] for kind in kinds}


def options_of_update(run: RunFolder, kinds: Sequence[str], flags: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The options that `kinds` were trained with, before or since the last update.

    Raises RunError for a kind that was never trained, or where `flags` ask for other options.
    """
    requested: dict[str, Any] = {}
    for kind in kinds:
        record = run.outdated.get(kind) or run.kinds.get(kind)
        if record is None:
            raise RunError(f"{run.path}: has no {kind} to update; train it first, without --update")
        requested[kind] = options_of(kind, _flat(record["requested"]))
        asked = options_of(kind, {**_flat(record["requested"]), **flags.get(kind, {})})
        if asked != requested[kind]:
            raise RunError(
                f"{run.path}: {kind} was trained with {_difference(requested[kind], asked)}; give the same options, or "
                "train it anew without --update"
            )
    return requested


def _flat(requested: Mapping[str, Any]) -> dict[str, Any]:
    """Flags that make the options of a record: those that stand in a group of their own are flags like the others."""
    flat: dict[str, Any] = {}
    for name, value in requested.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return flat


def _difference(before: Any, asked: Any) -> str:
    """ "epochs 6 and not 3" """
    ours, theirs = _flat(asdict(before)), _flat(asdict(asked))
    return ", ".join(f"{name} {ours[name]} and not {theirs[name]}" for name in theirs if ours.get(name) != theirs[name])
