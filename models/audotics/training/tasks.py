"""Runs of every task: a data set of any kind goes in, the run that suits it comes out; and a path, an open run."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeAlias

from audotics.data.dataset import Dataset
from audotics.data.groups import GroupDataset
from audotics.data.labelled import LabelledTracks
from audotics.training.folder import RunError, RunFolder, read_record
from audotics.training.group_run import GroupRun, GroupRunOptions
from audotics.training.label_run import LabelRun, LabelRunOptions
from audotics.training.run import Run, RunOptions

AnyDataset: TypeAlias = Dataset | LabelledTracks | GroupDataset

_RUNS: Final[tuple[type[RunFolder], ...]] = (Run, LabelRun, GroupRun)


def create_or_open(path: Path, dataset: AnyDataset, options: RunOptions) -> RunFolder:
    """Go on in a run of the same data and options, or make one. Only the seed matters to runs without a split.

    Raises RunError when something else lives there, DataError for data that cannot be trained on.
    """
    match dataset:
        case LabelledTracks():
            return LabelRun.create_or_open(path, dataset, LabelRunOptions(options.seed))
        case GroupDataset():
            return GroupRun.create_or_open(path, dataset, GroupRunOptions(options.seed))
        case _:
            return Run.create_or_open(path, dataset, options)


def open_run(path: Path) -> RunFolder:
    """Open a run of any task. Raises RunError when there is none."""
    task = read_record(path)["task"]
    for run in _RUNS:
        if run.task == task:
            return run.open(path)
    raise RunError(f"{path}: is a run on {task!r}, which this version does not know; train again")
