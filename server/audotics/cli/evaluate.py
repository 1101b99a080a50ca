"""`audotics evaluate`: a run goes in, the metrics of its models beside the baselines come out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.output import expected_errors, print_json, print_line, print_table

if TYPE_CHECKING:
    from audotics.training.comparison import Comparison


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of the run, as `audotics train` wrote it.")],
    json: Annotated[bool, typer.Option("--json", help="Print protocol and metrics as JSON.")] = False,
) -> None:
    """Compare a trained run with baselines on the same split."""
    from audotics.training.threads import wait_passively

    wait_passively(os.environ)
    from audotics.cli.progress import rich_progress
    from audotics.training.comparison import compare
    from audotics.training.run import Run, RunError

    with expected_errors(RunError), rich_progress() as progress:
        comparison = compare(Run.open(run), progress=progress)
    if json:
        print_json(comparison.to_json())
        return
    print_comparison(comparison)
    print_line(f"Next: audotics export {run} --repository repository", style="dim")


def print_comparison(comparison: Comparison) -> None:
    """Show a table of metrics, with the best of each column marked."""
    metrics = list(next(iter(comparison.rows.values())))
    best = {metric: max(row[metric] for row in comparison.rows.values()) for metric in metrics}
    print_table(
        (
            (model, *(f"{row[metric]:.4f}{' *' if row[metric] == best[metric] else '  '}" for metric in metrics))
            for model, row in comparison.rows.items()
        ),
        columns=("model", *(f"{metric.upper()}  " for metric in metrics)),
        numeric=[f"{metric.upper()}  " for metric in metrics],
    )
    print_line("; ".join(f"{name}: {value}" for name, value in comparison.protocol.items()), style="dim")
