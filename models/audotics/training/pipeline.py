"""Training of a run, kind by kind: each kind's model goes to its folder, and a record of it to `run.json`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Final

from audotics.training.folder import RunError, RunFolder
from audotics.training.kinds import KINDS
from audotics.training.progress import Progress
from audotics.training.recipe import load_recipe, options_of

NO_FLAGS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})


def train(
    run: RunFolder,
    kinds: Sequence[str],
    flags: Mapping[str, Mapping[str, Any]] = NO_FLAGS,
    *,
    resume: bool,
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """Train `kinds`, in the order of KINDS, and return their records; `flags` has options by kind that are not default.

    With `resume`, kinds that were finished with the same options are kept, and one that was interrupted goes on from
    its last checkpoint. Raises RunError for a kind that this run's data do not suit, and what the kind raises.
    """
    for kind in kinds:
        if run.task not in KINDS[kind].tasks:
            raise RunError(f"{run.path}: is a run on {run.task}, which {kind} cannot be trained on")
    for kind in (kind for kind in KINDS if kind in kinds):
        options = options_of(kind, flags.get(kind, {}))
        requested = asdict(options)
        if resume and run.kinds.get(kind, {}).get("requested") == requested:
            progress.say(f"{kind}: kept, it was finished with the same options")
            continue
        started = time.monotonic()
        record = load_recipe(kind).train(run, options, resume=resume, progress=progress)
        run.record(kind, record | {"requested": requested, "seconds": round(time.monotonic() - started, 2)})
    trained = run.kinds
    return {kind: trained[kind] for kind in kinds}
