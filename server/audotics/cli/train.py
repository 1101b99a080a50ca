"""`audotics train`: listening data goes in, a run folder with trained models comes out."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audotics.cli.output import expected_errors, print_json, print_line, print_table

if TYPE_CHECKING:
    from audotics.data.dataset import LoadReport
    from audotics.training.pipeline import TrainingOptions


class Kind(StrEnum):
    """What can be trained."""

    ALL = "all"
    COLLABORATIVE = "collaborative"
    CONTENT = "content"
    NCF = "ncf"
    HYBRID = "hybrid"


class HeldOut(StrEnum):
    """Which track of each listener is kept for the test."""

    RANDOM = "random"
    LAST = "last"


def train(
    kind: Annotated[Kind, typer.Argument(help="The model to train. The hybrid needs the others first.")],
    data: Annotated[Path, typer.Option(help="Folder or file with the data. The format is recognised.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder of the run. [default: runs/NAME-OF-THE-DATA]", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Most epochs of the neural models.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Examples a step of the neural models.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Step size of the neural models.")] = None,
    embedding_size: Annotated[int | None, typer.Option(min=2, help="Dimension of NCF's and content's vectors.")] = None,
    validation_split: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of listeners that content keeps for validation.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of the split and of every model.")] = 0,
    k_core: Annotated[
        int, typer.Option(min=1, help="Train on listeners and tracks with at least this many interactions.")
    ] = 5,
    split: Annotated[HeldOut, typer.Option(help="Which track of each listener is kept for the test.")] = HeldOut.RANDOM,
    column: Annotated[
        list[str] | None, typer.Option(help="For plain CSV or Parquet: user=NAME, track=NAME, …; may be repeated.")
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave broken rows out and count them.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep finished kinds and go on from checkpoints.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the records of the trained kinds as JSON.")] = False,
) -> None:
    """Train models on listening data."""
    from audotics.training.threads import wait_passively

    wait_passively(os.environ)
    from audotics.cli.progress import rich_progress
    from audotics.data.dataset import DataError
    from audotics.data.loaders import load
    from audotics.training.checkpoints import CheckpointError
    from audotics.training.pipeline import KINDS
    from audotics.training.pipeline import train as train_kinds
    from audotics.training.run import Run, RunError, RunOptions

    folder = output or Path("runs") / data.stem
    with expected_errors(DataError, RunError, CheckpointError):
        dataset = load(data, skip_bad_rows=skip_bad_rows, columns=_columns(column or []))
        if not json:
            print_report(dataset.report)
        run = Run.create_or_open(folder, dataset, RunOptions(seed, k_core, split.value))
        options = training_options(
            {
                "epochs": epochs,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "embedding_size": embedding_size,
            },
            validation_split=validation_split,
        )
        with rich_progress() as progress:
            kinds = KINDS if kind is Kind.ALL else (kind.value,)
            records = train_kinds(run, kinds, options, resume=resume, progress=progress)
    if json:
        print_json({"run": str(folder), "counts": run.counts, "kinds": {name: _brief(records[name]) for name in kinds}})
        return
    print_trained(records)
    print_line(f"Next: audotics evaluate {folder}", style="dim")


def training_options(given: dict[str, Any], *, validation_split: float = 0.2) -> TrainingOptions:
    """The defaults of every kind, with the flags in `given` that are not None in place of theirs."""
    from audotics.training.pipeline import TrainingOptions

    options = TrainingOptions()
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(
        options,
        content=replace(options.content, **chosen, validation_split=validation_split),
        ncf=replace(options.ncf, **chosen),
        hybrid=replace(options.hybrid, **{name: value for name, value in chosen.items() if name == "epochs"}),
    )


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


def _brief(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the long lists that only a later stage needs."""
    return {name: value for name, value in record.items() if name not in ("encoder", "requested")}
