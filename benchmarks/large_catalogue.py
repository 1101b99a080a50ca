"""Beyond the catalogues that EASE can invert: what is trained by default beside sparse neighbours, in time and memory.

A synthetic catalogue of more tracks than `models/collaborative.py` decomposes whole. Each model runs in a process of
its own, chooses its options on validation tracks, is fitted without and with these, and ranks every track for each test
listener. By default a cut spectrum competes with factored neighbours; the options in --json tell which was better.
Seconds are those of the processor, so that what else the machine does counts for less; memory is the most
that the process held, less what it held with the data alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from audotics.data.synthetic import synthetic
from audotics.evaluation.baselines import history_matrix, popularity
from audotics.evaluation.metrics import ndcg
from audotics.evaluation.ranking import Scorer, full_ranking
from audotics.models.collaborative import CollaborativeOptions
from audotics.models.neighbours import NeighboursOptions
from audotics.training.collaborative import LARGE_CATALOGUE_RANK, train_collaborative
from audotics.training.factorisation import train_factorisation
from audotics.training.progress import Quiet
from audotics.training.run import Run, RunOptions, Split

K: Final = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process found. `seconds` are for the choice of the options and the fit."""

    model: str
    ndcg: float
    seconds: float
    mebibytes: float
    options: dict[str, Any]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tracks", type=int, default=25_000)
    arguments.add_argument("--listeners", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--no-search", action="store_true", help="take the default options, and fit once")
    arguments.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = arguments.parse_args()
    dataset = synthetic(n_tracks=given.tracks, n_users=given.listeners, seed=given.seed, mean_history=40)
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", dataset, RunOptions(given.seed, k_core=1))
        rows = []
        for name in MODELS:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                rows.append(pool.submit(measure, name, run.path, given.seed, search=not given.no_search).result())
    if given.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))  # noqa: T201
        return
    table = Table(title=f"{given.tracks:,} tracks, {given.listeners:,} listeners, {len(dataset.interactions):,} pairs")
    table.add_column("model")
    for column in (f"NDCG@{K}", "seconds", "MiB"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.model, f"{row.ndcg:.4f}", f"{row.seconds:.1f}", f"{row.mebibytes:.0f}")
    Console().print(table)


def measure(name: str, path: Path, seed: int, *, search: bool) -> Measured:
    """Train the model `name` on the run at `path`, in this process."""
    split = Run.open(path).split()
    before = _peak_mebibytes()
    started = time.process_time()
    scorer, options = MODELS[name](split, seed, search)
    seconds = time.process_time() - started
    grown = _peak_mebibytes() - before
    ranks = full_ranking(scorer, split.test.histories, split.test.targets)
    return Measured(name, float(ndcg(ranks, K).mean()), seconds, grown, options)


def _popularity(split: Split, seed: int, search: bool) -> tuple[Scorer, dict[str, Any]]:
    return popularity(history_matrix(split.training, len(split.tracks))), {}


def _factors(split: Split, seed: int, search: bool) -> tuple[Scorer, dict[str, Any]]:
    options = CollaborativeOptions(rank=LARGE_CATALOGUE_RANK)
    fit = train_collaborative(split, options, search=search, seed=seed, progress=Quiet())
    return fit.final.scores, asdict(fit.options)


def _neighbours(split: Split, seed: int, search: bool) -> tuple[Scorer, dict[str, Any]]:
    fit = train_factorisation(split, NeighboursOptions(), search=search, seed=seed, progress=Quiet())
    return fit.final.scores, asdict(fit.options)


def _peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


MODELS: Final[dict[str, Callable[[Split, int, bool], tuple[Scorer, dict[str, Any]]]]] = {
    "popularity": _popularity,
    "factors": _factors,
    "neighbours": _neighbours,
}

if __name__ == "__main__":
    main()
