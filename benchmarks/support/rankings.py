"""Models beside baselines on the test tracks of one split: scorers by name go in, a table or JSON comes out."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from audotics.data.loaders import load
from audotics.evaluation.baselines import ease, history_matrix, item_knn, popularity
from audotics.evaluation.metrics import hit_rate, ndcg
from audotics.evaluation.ranking import Scorer, full_ranking
from audotics.evaluation.significance import mean_intervals, paired_ratios
from audotics.training.run import Run, RunOptions, Split

K = 10
BASELINE = "EASE"

Build = Callable[[], Scorer]


@dataclass(frozen=True, slots=True)
class Note:
    """What there is to say of a model beside its numbers: "12 epochs", "128 dimensions"."""

    text: str
    validation: float | None = None


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments that every table takes."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder or file with the data")
    arguments.add_argument("--k-core", type=int, default=5)
    arguments.add_argument("--split", choices=("random", "last"), default="random", help="which track is held out")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return arguments


def run_of(arguments: argparse.Namespace, folder: Path) -> Run:
    options = RunOptions(arguments.seed, arguments.k_core, arguments.split)
    return Run.create(folder, load(arguments.data), options)


def baselines(split: Split) -> dict[str, Build]:
    matrix = history_matrix(split.training, len(split.tracks))
    return {
        "popularity": lambda: popularity(matrix),
        "item k-NN": lambda: item_knn(matrix),
        BASELINE: lambda: ease(matrix),
    }


def report(
    arguments: argparse.Namespace, run: Run, split: Split, models: Mapping[str, Build], notes: Mapping[str, Note]
) -> None:
    """Rank all tracks for each test listener with the baselines and `models`, and print metrics at K."""
    ranks, seconds = {}, {}
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), transient=True) as progress:
        for name, build in {**baselines(split), **models}.items():
            task = progress.add_task(f"ranking with {name}", total=None)
            started = time.perf_counter()
            ranks[name] = full_ranking(build(), split.test.histories, split.test.targets)
            seconds[name] = time.perf_counter() - started
            progress.remove_task(task)
    gains = {name: ndcg(value, K) for name, value in ranks.items()}
    means, ratios = mean_intervals(gains), paired_ratios(gains, baseline=BASELINE)
    rows = [
        {
            "model": name,
            "metrics": {f"hr@{K}": float(hit_rate(value, K).mean()), f"ndcg@{K}": means[name].estimate},
            "ratio": ratios[name].to_json() if name in ratios else None,
            "validation": {f"ndcg@{K}": notes[name].validation} if name in notes else None,
            "note": notes[name].text if name in notes else "",
            "scoring_seconds": seconds[name],
        }
        for name, value in ranks.items()
    ]
    protocol = {
        "dataset": run.name,
        "split": f"leave one out ({arguments.split}), {arguments.k_core}-core, seed {arguments.seed}",
        "ranking": f"full, {len(split.tracks)} tracks without those heard in training",
        "listeners": len(split.test.targets),
        "baseline": BASELINE,
    }
    if arguments.json:
        print(json.dumps({"protocol": protocol, "rows": rows}, indent=2))  # noqa: T201
        return
    table = Table(
        title=f"{run.name}, {protocol['split']}: {len(split.test.targets):,} listeners, {protocol['ranking']}"
    )
    table.add_column("model")
    for column in (f"HR@{K}", f"NDCG@{K}", f"NDCG@{K} / {BASELINE} (95 %)", "validation"):
        table.add_column(column, justify="right")
    table.add_column("")
    for name, value in ranks.items():
        ratio, note = ratios.get(name), notes.get(name, Note(""))
        table.add_row(
            name,
            f"{hit_rate(value, K).mean():.4f}",
            f"{means[name].estimate:.4f}",
            f"{ratio.estimate:.3f} ({ratio.low:.3f}–{ratio.high:.3f})" if ratio else "",
            "" if note.validation is None else f"{note.validation:.4f}",
            note.text,
        )
    Console().print(table)
