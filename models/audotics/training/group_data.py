"""Groups to train on: an open run goes in, groups as its source has them or simulated from its listeners come out."""

from __future__ import annotations

import numpy as np

from audotics.data.groups import GroupDataset
from audotics.data.simulated_groups import simulate_groups
from audotics.training.folder import RunFolder
from audotics.training.group_run import GroupRun
from audotics.training.run import Run


def groups_of(run: RunFolder) -> GroupDataset:
    """The same for every call. Raises RunError for data that cannot be read, DataError when none can be simulated."""
    match run:
        case GroupRun():
            return run.data()
        case Run():
            split = run.split()
            listeners = np.asarray([str(row) for row in range(len(split.training))], object)
            return simulate_groups(run.name, split.tracks, listeners, split.training, seed=run.options["seed"])
        case _:
            raise TypeError(f"a run on {run.task} has no groups")
