"""`audotics data`: a data set goes in, what validation says of it comes out."""

from __future__ import annotations

from typing import Annotated

import typer

from audotics.cli.output import expected_errors, print_json, print_line
from audotics.cli.source import print_validation, read_source
from audotics.cli.train import print_report

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Look at data before training on them.")


@app.callback()
def data() -> None:
    """Look at data before training on them."""


@app.command()
def validate(
    source: Annotated[str, typer.Argument(metavar="PATH|URL", help="Folder, file or postgresql:// URL with the data.")],
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
