"""`audotics evaluate`: a run goes in, the metrics of its models beside the baselines come out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.output import expected_errors, print_json, print_line, print_table

if TYPE_CHECKING:
    from audotics.evaluation.metric_table import MetricTable
    from audotics.evaluation.results import Comparison, ModelResult


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of the run, as `audotics train` wrote it.")],
    k: Annotated[int, typer.Option("--k", min=1, help="Length of the lists that count.")] = 10,
    html: Annotated[
        Path | None, typer.Option(help="Write a report with all metrics and charts to this file.", show_default=False)
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            help="Keep the metrics in this file and leave the run as it is. [default: RUN/evaluation.json]",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print protocol and metrics as JSON.")] = False,
) -> None:
    """Compare a trained run with baselines on the same split."""
    from audotics.training.threads import wait_passively

    wait_passively(os.environ)
    from audotics.cli.progress import rich_progress
    from audotics.data.dataset import DataError
    from audotics.evaluation.report import render
    from audotics.training.folder import RunError
    from audotics.training.label_run import LabelRun
    from audotics.training.run import Run
    from audotics.training.tasks import open_run

    with expected_errors(RunError, DataError), rich_progress() as progress:
        opened = open_run(run)
        if evaluation is not None:
            opened.keep_evaluation_in(evaluation)
        match opened:
            case Run():
                from audotics.training.comparison import compare

                comparison = compare(opened, k=k, progress=progress)
            case LabelRun():
                from audotics.training.cross_validation import cross_validate

                _show_table(cross_validate(opened, progress=progress), run, html=html, json=json)
                return
            case _:
                from audotics.training.group_evaluation import evaluate_groups

                _show_table(evaluate_groups(opened, progress=progress), run, html=html, json=json)
                return
    if html is not None:
        with expected_errors(OSError):
            html.write_text(render(comparison), "utf-8")
    if json:
        print_json(comparison.to_json())
        return
    print_comparison(comparison)
    if html is not None:
        print_line(f"Report: {html}")
    print_line(f"Next: audotics export {run} --repository repository", style="dim")


def _show_table(table: MetricTable, run: Path, *, html: Path | None, json: bool) -> None:
    if html is not None:
        raise typer.BadParameter("a report with charts is written of runs on listening data only", param_hint="--html")
    if json:
        print_json(table.to_json())
        return
    metrics = list(dict.fromkeys(name for row in table.rows for name in row["metrics"]))
    print_table(
        (
            (row["model"], *(f"{row['metrics'][name]:.4f}" if name in row["metrics"] else "–" for name in metrics))
            for row in table.rows
        ),
        columns=("model", *metrics),
        numeric=metrics,
    )
    print_line("; ".join(f"{name}: {value}" for name, value in table.protocol.items()), style="dim")
    print_line(f"Next: audotics export {run} --repository repository", style="dim")


def print_comparison(comparison: Comparison) -> None:
    """Show HR and NDCG with the best of each column marked, and NDCG over the baseline's with its interval."""
    metrics = [f"hr@{comparison.k}", f"ndcg@{comparison.k}"]
    best = {metric: max(row[metric] for row in comparison.rows.values()) for metric in metrics}
    numeric = [f"{metric.upper()}  " for metric in metrics]
    ratio = [] if comparison.baseline is None else [f"/ {comparison.baseline} (95 %)"]
    print_table(
        (
            (
                model,
                *(
                    f"{result.metrics[metric]:.4f}{' *' if result.metrics[metric] == best[metric] else '  '}"
                    for metric in metrics
                ),
                *(_ratio(result) for _ in ratio),
            )
            for model, result in comparison.results.items()
        ),
        columns=("model", *numeric, *ratio),
        numeric=[*numeric, *ratio],
    )
    print_line("; ".join(f"{name}: {value}" for name, value in comparison.protocol.items()), style="dim")


def _ratio(result: ModelResult) -> str:
    """NDCG over the baseline's; nothing for the baseline itself."""
    ratio = result.ratio
    return "" if ratio is None else f"{ratio.estimate:.3f} ({ratio.low:.3f}–{ratio.high:.3f})"
