"""Where the data of a command come from: the flags go in, a data set comes out, and what validation said of it.

Where a path holds several, that depends on the kind to be trained: the same songs are playlists for recommenders and
labelled tracks for a classifier.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from audotics.cli.output import console, print_line
from audotics.training.folder import RECORD_FILE, RunError, RunFolder
from audotics.training.kinds import suitable

if TYPE_CHECKING:
    from audotics.data.dataset import Dataset, LoadReport
    from audotics.data.groups import GroupDataset
    from audotics.data.labelled import LabelledTracks
    from audotics.data.validation import ValidationReport
    from audotics.training.tasks import AnyDataset

LABELS = ("genre", "mood")
"""Kinds that learn from labelled tracks."""


ALL: Final = "all"
"""In place of a kind: every kind that the data suit."""


PREPARED_TASKS: Final = ("listening", "groups")
"""Of runs that can be made in one step and trained in another."""


@dataclass(frozen=True, slots=True)
class Source:
    """Data that were read for a kind, or a run that was prepared from them.

    `label` is that of labelled tracks, `findings` what validation found in listening data.
    """

    dataset: AnyDataset | RunFolder
    label: str | None
    findings: ValidationReport | None

    @property
    def run_name(self) -> str:
        """Of the run's folder. Classifiers live apart from the recommenders of the same data."""
        stem = Path(self.dataset.name).stem
        return stem if self.label is None else f"{stem}-{self.label}"

    def print(self) -> None:
        """Say what was read, what was dropped, and what validation found."""
        if isinstance(self.dataset, RunFolder):
            counts = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in self.dataset.counts.items())
            print_line(f"Prepared {self.dataset.path}: {counts}")
        else:
            print_report(self.dataset.report)
        if self.findings is not None:
            print_validation(self.findings)

    def refuse_errors(self) -> None:
        """Raise DataError where validation found an error."""
        if self.findings is not None and not isinstance(self.dataset, RunFolder):
            self.findings.refuse_errors(self.dataset.report.source)


def read_for(
    kind: str,
    data: str | None,
    *,
    synthetic: bool = False,
    tracks: int | None = None,
    listeners: int | None = None,
    seed: int = 0,
    column: list[str] | None = None,
    skip_bad_rows: bool = False,
) -> Source:
    """Load what `kind`, or ALL, learns from, or open the run that was prepared from it.

    Raises BadParameter, RunError, and DataError, also for data that train other kinds.
    """
    from audotics.data.validation import validate

    if data is not None and (Path(data) / RECORD_FILE).is_file():
        return _prepared(Path(data))
    held = None if data is None else label_of_source(data)
    if data is not None:
        _refuse_unsuitable(data, kind, held)
    label = kind if kind in LABELS else held
    if label is not None:
        return Source(read_labelled(data, label, skip_bad_rows=skip_bad_rows), label, None)
    groups = read_groups(data, skip_bad_rows=skip_bad_rows) if kind in (ALL, "group") else None
    if groups is not None:
        return Source(groups, None, None)
    dataset = read_source(
        data,
        synthetic=synthetic,
        tracks=tracks,
        listeners=listeners,
        seed=seed,
        column=column,
        skip_bad_rows=skip_bad_rows,
    )
    return Source(dataset, None, validate(dataset))


def _prepared(path: Path) -> Source:
    """The run in `path`. Raises RunError for one on labelled tracks, which are trained on as they are."""
    from audotics.training.tasks import open_run

    run = open_run(path)
    if run.task not in PREPARED_TASKS:
        raise RunError(f"{path}: is a run on {run.task}; name the data themselves with --data")
    return Source(run, None, None)


def _refuse_unsuitable(data: str, kind: str, label: str | None) -> None:
    """Raise DataError where `data` are labelled with `label`, or hold groups, and `kind` learns from something else."""
    from audotics.data.dataset import DataError

    if label is not None and kind not in (ALL, label):
        raise DataError(f"holds tracks labelled with a {label}, which train {label} only, not {kind}", path=Path(data))
    if has_groups(data) and kind not in (ALL, *suitable("groups")):
        raise DataError(
            f"holds groups, which train {' and '.join(suitable('groups'))} only, not {kind}", path=Path(data)
        )


def label_of_source(data: str) -> str | None:
    """What the tracks of `data` are labelled with, where it holds nothing else."""
    from audotics.data.loaders.labels import label_of

    return label_of(Path(data))


def read_labelled(data: str | None, label: str, *, skip_bad_rows: bool) -> LabelledTracks:
    """Load tracks labelled with a genre or a mood. Raises BadParameter and DataError."""
    from audotics.data.loaders.labels import load_labelled

    if data is None:
        raise typer.BadParameter(f"{label} learns from labelled tracks: name a folder or a file with --data")
    return load_labelled(Path(data), label, skip_bad_rows=skip_bad_rows)


def has_groups(data: str) -> bool:
    from audotics.data.loaders.camra import MEMBER_FILE

    return (Path(data) / MEMBER_FILE).is_file()


def read_groups(data: str | None, *, skip_bad_rows: bool) -> GroupDataset | None:
    """Load groups where the data have any; None where they are something else. Raises DataError."""
    from audotics.data.loaders.camra import load_camra

    if data is None or not has_groups(data):
        return None
    return load_camra(Path(data), skip_bad_rows=skip_bad_rows)


MILESTONE_ROWS: Final = 1_000_000


def read_source(
    data: str | None,
    *,
    synthetic: bool = False,
    tracks: int | None = None,
    listeners: int | None = None,
    seed: int = 0,
    column: list[str] | None = None,
    skip_bad_rows: bool = False,
) -> Dataset:
    """Load `data`, a path or the URL of a database, or generate a catalogue. Raises BadParameter and DataError."""
    if data is None and not synthetic:
        raise typer.BadParameter(
            "there are no data: name a folder, a file or a database with --data, "
            "or train on a generated catalogue with --synthetic"
        )
    if data is not None and synthetic:
        raise typer.BadParameter("--data and --synthetic exclude each other: give one of them")
    if data is not None:
        if tracks is not None or listeners is not None:
            raise typer.BadParameter("--tracks and --listeners are sizes of the generated catalogue of --synthetic")
        from audotics.data.loaders import load

        return load(data, skip_bad_rows=skip_bad_rows, columns=_columns(column or []), watch=_Milestones())
    if column or skip_bad_rows:
        raise typer.BadParameter("--column and --skip-bad-rows are for --data, not for --synthetic")
    from audotics.data.synthetic import synthetic as generate

    sizes = {"n_tracks": tracks, "n_users": listeners}
    return generate(seed=seed, **{name: size for name, size in sizes.items() if size is not None})


def print_report(report: LoadReport) -> None:
    """Say what a loader read and what it dropped."""
    read = ", ".join(f"{count:,} {what}" for what, count in report.read.items())
    print_line(f"Read {report.source}: {read}")
    for reason, count in report.dropped.items():
        print_line(f"  left out: {count:,} {reason}", style="yellow")


def print_validation(report: ValidationReport) -> None:
    """Say what validation found, errors first."""
    for finding in report.findings:
        print_line(f"  {finding.grade}: {finding.message}", style="red" if finding.grade == "error" else "yellow")


class _Milestones:
    """Says on stderr how far a long table is read, so that nobody takes it for stuck."""

    def __init__(self) -> None:
        self._reached = 0

    def __call__(self, n_rows: int) -> None:
        if n_rows // MILESTONE_ROWS > self._reached:
            self._reached = n_rows // MILESTONE_ROWS
            console(stderr=True).print(f"read {self._reached * MILESTONE_ROWS:,} rows")


def _columns(pairs: list[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        name, separator, column = pair.partition("=")
        if not separator or not name or not column:
            raise typer.BadParameter(
                f"{pair!r} is not NAME=COLUMN, for example user=listener_id", param_hint="--column"
            )
        columns[name] = column
    return columns
