"""Where the data of a command come from: the flags go in, a data set comes out, and what validation said of it.

Where a path holds several, that depends on the kind to be trained: the same songs are playlists for recommenders and
labelled tracks for a classifier.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from audotics.cli.output import console, print_line

if TYPE_CHECKING:
    from audotics.data.dataset import Dataset
    from audotics.data.groups import GroupDataset
    from audotics.data.labelled import LabelledTracks
    from audotics.data.validation import ValidationReport

LABELS = ("genre", "mood")
"""Kinds that learn from labelled tracks."""


def label_of_source(data: str | None, kind: str) -> str | None:
    """The label that is to be learnt: the kind itself, or, for all kinds, what the data are labelled with."""
    from audotics.data.loaders.labels import label_of

    if kind in LABELS:
        return kind
    return label_of(Path(data)) if data is not None and kind == "all" else None


def read_labelled(data: str | None, label: str, *, skip_bad_rows: bool) -> LabelledTracks:
    """Load tracks labelled with a genre or a mood. Raises BadParameter and DataError."""
    from audotics.data.loaders.labels import load_labelled

    if data is None:
        raise typer.BadParameter(f"{label} learns from labelled tracks: name a folder or a file with --data")
    return load_labelled(Path(data), label, skip_bad_rows=skip_bad_rows)


def read_groups(data: str | None, *, skip_bad_rows: bool) -> GroupDataset | None:
    """Load groups where the data have any; None where they are something else. Raises DataError."""
    from audotics.data.loaders.camra import MEMBER_FILE, load_camra

    if data is None or not (Path(data) / MEMBER_FILE).is_file():
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
