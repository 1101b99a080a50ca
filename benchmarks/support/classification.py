"""Cross-validation of classifiers as scripts: labelled tracks go in, a table of models beside baselines comes out."""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from audotics.cli.progress import rich_progress
from audotics.data.labelled import LabelledTracks
from audotics.data.loaders.labels import load_labelled
from audotics.training.progress import Progress
from audotics.training.threads import wait_passively

CrossValidate = Callable[[LabelledTracks, int, int, Progress], list[dict[str, Any]]]
"""Tracks, folds, a seed and who watches go in; rows as `audotics.training.classifiers.compare` makes them come out."""

_COLUMNS = ("accuracy", "precision", "recall", "f1", "log_loss", "ece")


def main(
    kind: str, description: str | None, cross_validate: CrossValidate, *, notes: Callable[[LabelledTracks], str]
) -> None:
    """Read arguments, cross-validate, and print; with several seeds, means over them and the spread of the accuracy."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder or file with the labelled tracks")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100], help="each divides the tracks anew [100]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    wait_passively(os.environ)
    data = load_labelled(arguments.data, kind)
    with rich_progress() as progress:
        runs = [cross_validate(data, arguments.folds, seed, progress) for seed in arguments.seeds]
    rows = [_mean([run[place] for run in runs]) for place in range(len(runs[0]))]
    protocol = {
        "dataset": data.name,
        "protocol": f"stratified {arguments.folds}-fold, groups kept whole",
        "seeds": arguments.seeds,
        "tracks": len(data),
        "classes": data.counts,
        "report": data.report.to_json(),
    }
    if arguments.json:
        print(json.dumps({"protocol": protocol, "rows": rows, "notes": notes(data)}, indent=2))  # noqa: T201
        return
    console = Console()
    console.print(_table(f"{data.name}: {len(data):,} tracks, {protocol['protocol']}, seeds {arguments.seeds}", rows))
    console.print(_classes(rows[-1]))
    console.print(notes(data))


def _mean(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of several seeds': means, and the standard deviation of the accuracy where there are several."""
    metrics = {name: statistics.mean(row["metrics"][name] for row in rows) for name in rows[0]["metrics"]}
    if len(rows) > 1:
        metrics["accuracy_std"] = statistics.stdev(row["metrics"]["accuracy"] for row in rows)
    classes = {
        name: {key: statistics.mean(row["classes"][name][key] for row in rows) for key in values}
        for name, values in rows[0]["classes"].items()
    }
    return {"model": rows[0]["model"], "metrics": metrics, "classes": classes}


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title)
    table.add_column("model")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for row in rows:
        metrics = row["metrics"]
        cells = [f"{metrics[name]:.4f}" if name in metrics else "" for name in _COLUMNS]
        if "accuracy_std" in metrics:
            cells[0] += f" ± {metrics['accuracy_std']:.4f}"
        table.add_row(row["model"], *cells)
    return table


def _classes(row: dict[str, Any]) -> Table:
    table = Table(title=f"{row['model']}, class by class")
    table.add_column("class")
    for column in ("precision", "recall", "f1", "count"):
        table.add_column(column, justify="right")
    for name, values in row["classes"].items():
        table.add_row(name, *(f"{values[key]:.3f}" for key in ("precision", "recall", "f1")), f"{values['count']:.0f}")
    return table
