"""Runs of every task: a data set of any kind goes in, the run that suits it comes out; and a path, an open run."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from audotics.data.dataset import Dataset
from audotics.data.groups import GroupDataset
from audotics.data.labelled import LabelledTracks
from audotics.training.folder import RunError, RunFolder, read_record
from audotics.training.group_run import GroupRun, GroupRunOptions
from audotics.training.group_run import fingerprint as group_fingerprint
from audotics.training.label_run import LabelRun, LabelRunOptions
from audotics.training.run import Run, RunOptions
from audotics.training.run import fingerprint as run_fingerprint

AnyDataset: TypeAlias = Dataset | LabelledTracks | GroupDataset

_RUNS: Final[tuple[type[RunFolder], ...]] = (Run, LabelRun, GroupRun)


def create_or_open(path: Path, dataset: AnyDataset | RunFolder, options: RunOptions) -> RunFolder:
    """Go on in a run of the same data and options, or make one. Only the seed matters to runs without a split.

    A run in place of a data set brings its data and its options: `options` must be those, or the default ones. Raises
    RunError when something else lives there, DataError for data that cannot be trained on.
    """
    match dataset:
        case RunFolder():
            return _on_prepared(path, dataset, options)
        case LabelledTracks():
            return LabelRun.create_or_open(path, dataset, LabelRunOptions(options.seed))
        case GroupDataset():
            return GroupRun.create_or_open(path, dataset, GroupRunOptions(options.seed))
        case _:
            return Run.create_or_open(path, dataset, options)


def _on_prepared(path: Path, prepared: RunFolder, options: RunOptions) -> RunFolder:
    asked = {name: value for name, value in asdict(options).items() if name in prepared.options}
    if options != RunOptions() and asked != prepared.options:
        raise RunError(
            f"{prepared.path}: was prepared with {prepared.options}, which {asked} cannot change; prepare anew"
        )
    found = type(prepared).find(path, fingerprint=prepared.fingerprint, options=prepared.options, dataset=prepared.name)
    return type(prepared).copy(path, prepared) if found is None else found


def update_run(
    path: Path, dataset: AnyDataset | RunFolder, options: RunOptions
) -> tuple[RunFolder, dict[str, int] | None]:
    """Replace the data of a run by `dataset`, and say how much is new; None where the run has them already.

    Raises RunError for a run of another task or with other options, and what a run's `update` raises.
    """
    match open_run(path), dataset:
        case _, RunFolder():
            raise RunError(f"{dataset.path}: is a run itself; an update needs the data, as the run was made from")
        case Run() as listening, Dataset():
            asked, fingerprint = asdict(options), run_fingerprint(dataset)
            renew = partial(listening.update, dataset)
            run: RunFolder = listening
        case GroupRun() as groups, GroupDataset():
            asked, fingerprint = asdict(GroupRunOptions(options.seed)), group_fingerprint(dataset)
            renew = partial(groups.update, dataset)
            run = groups
        case LabelRun(), _:
            raise RunError(f"{path}: classifiers are trained anew on more labelled tracks; leave --update out")
        case other, _:
            raise RunError(f"{path}: is a run on {other.task}, which {dataset.name} cannot update")
    if asked != run.options:
        raise RunError(f"{path}: is a run with {run.options}, and an update cannot change that to {asked}")
    return run, None if fingerprint == run.fingerprint else renew()


def open_run(path: Path) -> RunFolder:
    """Open a run of any task. Raises RunError when there is none."""
    task = read_record(path)["task"]
    for run in _RUNS:
        if run.task == task:
            return run.open(path)
    raise RunError(f"{path}: is a run on {task!r}, which this version does not know; train again")
