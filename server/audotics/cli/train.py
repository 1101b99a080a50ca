"""`audotics train`: listening data goes in, a run folder with trained models comes out."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audotics.cli.output import expected_errors, fail, print_json, print_line, print_table
from audotics.cli.refinement import print_refinement, refine
from audotics.cli.source import ALL, read_for
from audotics.cli.source import print_report as print_report
from audotics.training.kinds import KINDS

if TYPE_CHECKING:
    from audotics.training.folder import RunFolder


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
            metavar="PATH|URL",
            help="Folder, file, or database URL with the data, or what `audotics data prepare` made of them.",
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
        float | None,
        typer.Option(min=0.01, max=0.9, help="Share of tracks that content keeps for validation. [default: 0.2]"),
    ] = None,
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
    update: Annotated[
        bool,
        typer.Option("--update", help="Go on in a trained run with more data of the same source, from its models."),
    ] = False,
    rewards: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.parquet",
            help="Refine the hybrid on logged decisions, and keep that where it is better on some held back.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the records of the trained kinds as JSON.")] = False,
) -> None:
    """Train models on listening data, on labelled tracks, or on groups."""
    if kind != ALL and (absent := KINDS[kind].absent):
        fail(f"{kind} cannot be trained: {absent}")
    if update and (resume or tuned):
        raise typer.BadParameter("an update keeps its models' options and has nothing to resume", param_hint="--update")
    if rewards is not None and kind not in (ALL, "hybrid"):
        raise typer.BadParameter("rewards refine the hybrid: train hybrid, or all", param_hint="--rewards")
    from audotics.data.dataset import DataError
    from audotics.training.folder import RunError

    with expected_errors(DataError, RunError):
        source = read_for(
            kind,
            data,
            synthetic=synthetic,
            tracks=tracks,
            listeners=listeners,
            seed=seed,
            column=column,
            skip_bad_rows=skip_bad_rows,
        )
        if not json:
            source.print()
        source.refuse_errors()
    from audotics.training.memory import keep_freed_memory
    from audotics.training.threads import wait_passively

    wait_passively(os.environ)
    keep_freed_memory()
    from audotics.cli.progress import rich_progress
    from audotics.training.checkpoints import CheckpointError
    from audotics.training.pipeline import options_of_update
    from audotics.training.pipeline import train as train_kinds
    from audotics.training.pipeline import update as update_kinds
    from audotics.training.rewards import read_rewards
    from audotics.training.run import RunOptions
    from audotics.training.tasks import create_or_open, open_run, update_run
    from audotics.training.tuning import tuned_flags

    with expected_errors(DataError, RunError, CheckpointError):
        logs = None if rewards is None else read_rewards(rewards)
        folder = output or Path("runs") / source.run_name
        options = RunOptions(seed, k_core, split.value)
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
        with rich_progress() as progress:
            if update:
                kinds = updatable(open_run(folder)) if kind == ALL else [kind]
                options_of_update(open_run(folder), kinds, flags)  # nothing is touched where it raises
                run, new = update_run(folder, source.dataset, options)
                progress.say(_growth(run, new))
                records = update_kinds(run, kinds, flags, progress=progress)
                for left in run.outdated:
                    progress.say(f"{left}: outdated now; `audotics train {left} --update` brings it up to the data")
            else:
                run = create_or_open(folder, source.dataset, options)
                wanted = [one for one in KINDS.values() if one.in_all(run.task) and source.label in (None, one.name)]
                kinds = [one.name for one in wanted if one.absent is None] if kind == ALL else [kind]
                if tuned:
                    flags = {name: tuned_flags(folder, name) | chosen for name, chosen in flags.items()}
                for one in wanted:
                    if kind == ALL and one.absent:
                        progress.say(f"{one.name}: left out, {one.absent}")
                records = train_kinds(run, kinds, flags, resume=resume, progress=progress, leave_out=kind == ALL)
            if logs is not None:
                records["hybrid"] = refine(run, logs, str(rewards), progress)
    if json:
        checked = {} if source.findings is None else {"validation": source.findings.to_json()}
        document = {"run": str(folder), "counts": run.counts, "updates": run.updates, **checked}
        print_json(document | {"kinds": {name: _brief(record) for name, record in records.items()}})
        return
    print_trained(records)
    if logs is not None:
        print_refinement(records["hybrid"]["rewards"])
    print_line(f"Next: audotics evaluate {folder}", style="dim")


def updatable(run: RunFolder) -> list[str]:
    """The kinds that were trained in `run` and can be trained here, in the order of KINDS. Raises RunError for none."""
    from audotics.training.folder import RunError

    trained = {*run.kinds, *run.outdated}
    if not trained:
        raise RunError(f"{run.path}: has nothing trained that could be updated; train first, without --update")
    return [one.name for one in KINDS.values() if one.name in trained and one.absent is None]


def _growth(run: RunFolder, new: dict[str, int] | None) -> str:
    if new is None:
        return f"{run.path}: has these data already"
    return f"{run.path}: new are {', '.join(f'{count:,} {what}' for what, count in new.items())}"


def flags_by_kind(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Options by kind: each flag in `given` that is not None, for the kinds that have it."""
    chosen = {name: value for name, value in given.items() if value is not None}
    return {kind.name: {name: chosen[name] for name in kind.flags if name in chosen} for kind in KINDS.values()}


def print_trained(records: dict[str, dict[str, Any]]) -> None:
    """Show what was trained, how well it did on validation data, and how long it took."""
    print_table(
        (
            (
                kind,
                ", ".join(f"{name} {value:.4f}" for name, value in record.get("validation", {}).items()) or "–",
                str(record.get("fit", {}).get("best_epoch", "closed form")),
                f"{record['seconds']:.1f}",
            )
            for kind, record in records.items()
        ),
        columns=("model", "validation", "epochs", "seconds"),
        numeric=("epochs", "seconds"),
    )


def _brief(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the long lists that only a later stage needs."""
    return {name: value for name, value in record.items() if name not in ("encoder", "requested")}
