"""`audotics train`: listening data goes in, a run folder with trained models comes out."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from audotics.cli.output import expected_errors, fail, print_json, print_line, print_table
from audotics.cli.source import label_of_source, print_validation, read_groups, read_labelled, read_source
from audotics.training.kinds import KINDS

if TYPE_CHECKING:
    from audotics.data.dataset import LoadReport
    from audotics.training.tasks import AnyDataset


ALL: Final = "all"


class HeldOut(StrEnum):
    """Which track of each listener is kept for the test."""

    RANDOM = "random"
    LAST = "last"


def _kind(name: str) -> str:
    if name not in (ALL, *KINDS):
        raise typer.BadParameter(f"{name!r} is none of {', '.join((ALL, *KINDS))}")
    return name


def train(
    kind: Annotated[
        str,
        typer.Argument(
            parser=_kind,
            metavar="KIND",
            autocompletion=lambda: [ALL, *KINDS],
            help=f"The model to train: {', '.join((ALL, *KINDS))}. The hybrid needs the others first.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|URL", help="Folder, file or postgresql:// URL with the data; the format is recognised."
        ),
    ] = None,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Train on a generated catalogue, where there are no data.")
    ] = False,
    tracks: Annotated[int | None, typer.Option(min=200, help="Tracks of --synthetic. [default: 5000]")] = None,
    listeners: Annotated[int | None, typer.Option(min=100, help="Listeners of --synthetic. [default: 2000]")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the run. [default: runs/NAME-OF-THE-DATA]", show_default=False)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Most epochs of the neural models. [default: each model's own]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Examples a step of the neural models. [default: each model's own]")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="Step size of the neural models. [default: each model's own]")
    ] = None,
    embedding_size: Annotated[
        int | None, typer.Option(min=2, help="Dimension of the vectors that models learn. [default: each model's own]")
    ] = None,
    validation_split: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of listeners that content keeps for validation.")
    ] = 0.2,
    algorithm: Annotated[
        str | None, typer.Option(help="Of the kind collaborative: ease, ials or nmf. [default: ease]")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH", help="BERT of the kind bert, by name or folder. [default: bert-base-uncased]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of --synthetic, of the split and of every model.")] = 0,
    k_core: Annotated[
        int, typer.Option(min=1, help="Train on listeners and tracks with at least this many interactions.")
    ] = 5,
    split: Annotated[HeldOut, typer.Option(help="Which track of each listener is kept for the test.")] = HeldOut.RANDOM,
    column: Annotated[
        list[str] | None,
        typer.Option(help="For CSV, Parquet or a database: user=NAME, track=NAME, …; may be repeated."),
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave broken rows out and count them.")
    ] = False,
    tuned: Annotated[bool, typer.Option("--tuned", help="Use what `audotics tune` chose in this run.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep finished kinds and go on from checkpoints.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the records of the trained kinds as JSON.")] = False,
) -> None:
    """Train models on listening data, on labelled tracks, or on groups."""
    if kind != ALL and (absent := KINDS[kind].absent):
        fail(f"{kind} cannot be trained: {absent}")
    from audotics.data.dataset import DataError, Dataset
    from audotics.data.validation import validate

    with expected_errors(DataError):
        label = label_of_source(data, kind)
        dataset: AnyDataset | None = None
        if label is not None:
            dataset = read_labelled(data, label, skip_bad_rows=skip_bad_rows)
        elif kind in (ALL, "group"):
            dataset = read_groups(data, skip_bad_rows=skip_bad_rows)
        if dataset is None:
            dataset = read_source(
                data,
                synthetic=synthetic,
                tracks=tracks,
                listeners=listeners,
                seed=seed,
                column=column,
                skip_bad_rows=skip_bad_rows,
            )
        findings = validate(dataset) if isinstance(dataset, Dataset) else None
        if not json:
            print_report(dataset.report)
            if findings is not None:
                print_validation(findings)
        if findings is not None:
            findings.refuse_errors(dataset.report.source)
    from audotics.training.threads import wait_passively

    wait_passively(os.environ)
    from audotics.cli.progress import rich_progress
    from audotics.training.checkpoints import CheckpointError
    from audotics.training.pipeline import train as train_kinds
    from audotics.training.run import RunError, RunOptions
    from audotics.training.tasks import create_or_open
    from audotics.training.tuning import tuned_flags

    with expected_errors(DataError, RunError, CheckpointError):
        folder = output or Path("runs") / _name(dataset.name, label)
        run = create_or_open(folder, dataset, RunOptions(seed, k_core, split.value))
        suitable = [one for one in KINDS.values() if one.in_all(run.task) and label in (None, one.name)]
        kinds = [one.name for one in suitable if one.absent is None] if kind == ALL else [kind]
        flags = flags_by_kind(
            {
                "epochs": epochs,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "embedding_size": embedding_size,
                "validation_split": validation_split,
                "algorithm": algorithm,
                "encoder": encoder,
            }
        )
        if tuned:
            flags = {name: tuned_flags(folder, name) | chosen for name, chosen in flags.items()}
        with rich_progress() as progress:
            for one in suitable:
                if kind == ALL and one.absent:
                    progress.say(f"{one.name}: left out, {one.absent}")
            records = train_kinds(run, kinds, flags, resume=resume, progress=progress)
    if json:
        checked = {} if findings is None else {"validation": findings.to_json()}
        document = {"run": str(folder), "counts": run.counts, **checked}
        print_json(document | {"kinds": {name: _brief(records[name]) for name in kinds}})
        return
    print_trained(records)
    print_line(f"Next: audotics evaluate {folder}", style="dim")


def flags_by_kind(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Options by kind: each flag in `given` that is not None, for the kinds that have it."""
    chosen = {name: value for name, value in given.items() if value is not None}
    return {kind.name: {name: chosen[name] for name in kind.flags if name in chosen} for kind in KINDS.values()}


def print_report(report: LoadReport) -> None:
    """Say what a loader read and what it dropped."""
    read = ", ".join(f"{count:,} {what}" for what, count in report.read.items())
    print_line(f"Read {report.source}: {read}")
    for reason, count in report.dropped.items():
        print_line(f"  left out: {count:,} {reason}", style="yellow")


def print_trained(records: dict[str, dict[str, Any]]) -> None:
    """Show what was trained, how well it did on validation data, and how long it took."""
    print_table(
        (
            (
                kind,
                ", ".join(f"{name} {value:.4f}" for name, value in record.get("validation", {}).items()) or "–",
                str(record["fit"]["best_epoch"]) if "fit" in record else "closed form",
                f"{record['seconds']:.1f}",
            )
            for kind, record in records.items()
        ),
        columns=("model", "validation", "epochs", "seconds"),
        numeric=("epochs", "seconds"),
    )


def _name(dataset: str, label: str | None) -> str:
    """Of the run's folder. Classifiers live apart from the recommenders of the same data."""
    stem = Path(dataset).stem
    return stem if label is None else f"{stem}-{label}"


def _brief(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the long lists that only a later stage needs."""
    return {name: value for name, value in record.items() if name not in ("encoder", "requested")}
