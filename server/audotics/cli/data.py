"""`audotics data`: a data set goes in, what validation says of it comes out, or a run with nothing trained yet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audotics.cli.output import expected_errors, print_json, print_line
from audotics.cli.source import ALL, print_report, print_validation, read_for, read_source
from audotics.cli.train import HeldOut

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Check data, and prepare them for training.")


@app.callback()
def data() -> None:
    """Check data, and prepare them for training."""


@app.command()
def validate(
    source: Annotated[str, typer.Argument(metavar="PATH|URL", help="Folder, file, or database URL with the data.")],
    column: Annotated[
        list[str] | None,
        typer.Option(help="For CSV, Parquet or a database: user=NAME, track=NAME, …; may be repeated."),
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave broken rows out and count them.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check schema, ranges, nulls, duplicates and leakage. Exits with 1 when training would refuse the data."""
    from audotics.data.dataset import DataError
    from audotics.data.validation import validate as check

    with expected_errors(DataError):
        dataset = read_source(source, column=column, skip_bad_rows=skip_bad_rows)
    report = check(dataset)
    if json:
        print_json(dataset.report.to_json() | report.to_json())
    else:
        print_report(dataset.report)
        print_validation(report)
        print_line(f"{len(report.errors)} errors, {len(report.warnings)} warnings", style="bold")
    if report.errors:
        raise typer.Exit(1)


@app.command()
def prepare(
    source: Annotated[str, typer.Argument(metavar="PATH|URL", help="Folder, file, or database URL with the data.")],
    output: Annotated[Path, typer.Option(help="Folder of the run to make.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Seed of the split and of every model.")] = 0,
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
    json: Annotated[bool, typer.Option("--json", help="Print what was prepared as JSON.")] = False,
) -> None:
    """Read, check and split data into a run without any model, for `audotics train all --data RUN`."""
    from audotics.data.dataset import DataError
    from audotics.training.folder import RunError
    from audotics.training.run import RunOptions
    from audotics.training.tasks import create_or_open

    with expected_errors(DataError, RunError):
        read = read_for(ALL, source, column=column, skip_bad_rows=skip_bad_rows)
        if read.label is not None:
            raise DataError("holds labelled tracks, which need no preparing; train on them", path=Path(source))
        if not json:
            read.print()
        read.refuse_errors()
        run = create_or_open(output, read.dataset, RunOptions(seed, k_core, split.value))
    if json:
        print_json({"run": str(output), "counts": run.counts, "options": run.options})
    else:
        print_line(f"Next: audotics train all --data {output} --output RUN", style="dim")


@app.command()
def collect(
    prepared: Annotated[Path, typer.Argument(help="Folder of a run, prepared or trained, with the data so far.")],
    output: Annotated[Path, typer.Option(help="Folder of the run to make.", show_default=False)],
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="AUDOTICS_DATABASE_URL",
            help="Database of the server. [default: what the server's settings say]",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was collected as JSON.")] = False,
) -> None:
    """Add what a server has taken in to a run's data, without deleted listeners, for `audotics train --data RUN`."""
    from audotics.cli.collected import collect as collect_data
    from audotics.data.dataset import DataError
    from audotics.server.errors import AudoticsError
    from audotics.server.settings import load_settings
    from audotics.training.run import Run, RunError, RunOptions

    with expected_errors(DataError, RunError, AudoticsError):
        before = Run.open(prepared)
        url = database_url or load_settings().effective_database_url
        collected = collect_data(before, url, keep_erased=False)
        run = Run.create_or_open(output, collected.dataset, RunOptions(**before.options))
    if json:
        print_json({"run": str(output), "events": collected.events, "counts": run.counts, "options": run.options})
        return
    print_line(
        f"Collected {collected.events:,} events: {run.counts['interactions']:,} interactions, "
        f"{before.counts['interactions']:,} before; {len(collected.erased):,} deleted listeners left out"
    )
    print_line(f"Next: audotics train all --data {output} --output RUN", style="dim")
