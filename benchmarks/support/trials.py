"""Trials that need a training of their own: a data set goes in, a table of models beside a baseline comes out."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import sparse

from audotics.cli.progress import rich_progress
from audotics.data.dataset import Dataset
from audotics.data.loaders import load
from audotics.data.splits import k_core
from audotics.evaluation.baselines import history_matrix
from audotics.evaluation.metrics import hit_rate, ndcg, recall
from audotics.evaluation.protocols import Trial
from audotics.evaluation.significance import mean_intervals, paired_ratios
from audotics.training.kinds import KINDS, WEIGHED
from audotics.training.pipeline import train
from audotics.training.run import Run, RunOptions
from audotics.training.threads import wait_passively

K = 10
RUN_CORE = 2
"""The data set is a k-core already; only what lost its listeners to the protocol is left out of a run."""


def parser(description: str | None, *, fraction: float) -> argparse.ArgumentParser:
    """Arguments that every trial takes."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder or file with the data")
    arguments.add_argument("--fraction", type=float, default=fraction, help=f"kept from training [{fraction}]")
    arguments.add_argument("--k-core", type=int, default=5)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument(
        "--kinds", nargs="*", default=[*WEIGHED, "hybrid"], choices=KINDS, help="models to train [all]"
    )
    arguments.add_argument("--epochs", type=int, help="most epochs of the neural models, for a quick look")
    arguments.add_argument("--run", type=Path, help="folder to keep the run in, and to go on in [a temporary one]")
    arguments.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return arguments


def core_of(arguments: argparse.Namespace) -> Dataset:
    dataset = load(arguments.data)
    return k_core(dataset, arguments.k_core) if arguments.k_core > 1 else dataset


def run_of(arguments: argparse.Namespace, training: Dataset, folder: Path) -> Run:
    """Train `arguments.kinds` on a trial's training part in `folder`; kinds that are finished there are kept."""
    wait_passively(os.environ)
    flags = {}
    if arguments.epochs:
        flags = {kind: {"epochs": arguments.epochs} for kind in KINDS if "epochs" in KINDS[kind].flags}
    run = Run.create_or_open(folder, training, RunOptions(arguments.seed, RUN_CORE))
    with rich_progress() as progress:
        train(run, arguments.kinds, flags, resume=True, progress=progress)
    return run


def training_matrix(run: Run) -> sparse.csr_matrix:
    """What the run's final models were fitted on, binary (listeners, tracks of the whole catalogue), for baselines."""
    split = run.split()
    histories = [split.rows[history] for history in split.training]
    return history_matrix(histories, run.counts["tracks"])


def folder_of(arguments: argparse.Namespace) -> nullcontext[str] | tempfile.TemporaryDirectory[str]:
    """The folder that is to be kept, or one that goes with the block."""
    return nullcontext(str(arguments.run)) if arguments.run else tempfile.TemporaryDirectory()


def report(
    arguments: argparse.Namespace, trial: Trial, ranks: Mapping[str, NDArray[np.float64]], *, baseline: str
) -> None:
    """Print metrics at K of each model, and NDCG over the baseline's with its 95 % interval."""
    gains = {name: ndcg(value, K) for name, value in ranks.items()}
    means, ratios = mean_intervals(gains), paired_ratios(gains, baseline=baseline)
    protocol = {
        "dataset": trial.training.name,
        "protocol": trial.name,
        "core": f"{arguments.k_core}-core",
        "seed": arguments.seed,
        "listeners": len(trial.histories),
        "relevant": sum(len(relevant) for relevant in trial.relevant),
        "baseline": baseline,
    }
    if arguments.json:
        rows = [
            {
                "model": name,
                "metrics": {
                    f"hr@{K}": float(hit_rate(value, K).mean()),
                    f"recall@{K}": float(recall(value, K).mean()),
                    f"ndcg@{K}": means[name].estimate,
                },
                "interval": means[name].to_json(),
            }
            | ({"ratio": ratios[name].to_json()} if name in ratios else {})
            for name, value in ranks.items()
        ]
        print(json.dumps({"protocol": protocol, "rows": rows}, indent=2))  # noqa: T201
        return
    title = f"{trial.training.name}, {arguments.k_core}-core, seed {arguments.seed}: {trial.name}; "
    table = Table(title=f"{title}{len(trial.histories):,} listeners, {protocol['relevant']:,} held-out pairs")
    table.add_column("model")
    for column in (f"HR@{K}", f"recall@{K}", f"NDCG@{K}", f"NDCG@{K} / {baseline} (95 %)"):
        table.add_column(column, justify="right")
    for name, value in ranks.items():
        ratio = ratios.get(name)
        table.add_row(
            name,
            f"{hit_rate(value, K).mean():.4f}",
            f"{recall(value, K).mean():.4f}",
            f"{means[name].estimate:.4f}",
            f"{ratio.estimate:.3f} ({ratio.low:.3f}–{ratio.high:.3f})" if ratio else "",
        )
    Console().print(table)
