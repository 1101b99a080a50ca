"""Updates beside refits: NCF is trained on an earlier part of the data, updated with the rest, and trained anew on all.

The earlier part is the first share of each listener's history, or the whole histories of that share of the listeners.
Both networks are tested on the same tracks, which the earlier one has not seen, and EASE is fitted on the same data.
The target is the refit's NDCG@10, in a fraction of its time. Seconds are those of training alone, on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from audotics.cli.progress import rich_progress
from audotics.data.dataset import Dataset
from audotics.data.loaders import load
from audotics.evaluation.baselines import ease, history_matrix, popularity
from audotics.evaluation.metrics import hit_rate, ndcg
from audotics.evaluation.ranking import Scorer, full_ranking
from audotics.evaluation.significance import mean_intervals, paired_ratios
from audotics.training.pipeline import train, update
from audotics.training.run import Run, RunOptions
from audotics.training.scorers import core_scorers
from audotics.training.threads import wait_passively

K = 10
UPDATED, REFIT = "ncf, updated", "ncf, refit"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder or file with the data")
    parser.add_argument("--share", type=float, default=0.8, help="of the data that come first [0.8]")
    parser.add_argument("--by", choices=("history", "listeners"), default="history", help="what is cut [history]")
    parser.add_argument("--k-core", type=int, default=5)
    parser.add_argument("--split", choices=("random", "last"), default="random", help="which new track is held out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="most epochs of training, for a quick look")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    wait_passively(os.environ)
    whole = load(given.data)
    early = earlier(whole, share=given.share, by=given.by, seed=given.seed)
    flags = {"ncf": {"epochs": given.epochs}} if given.epochs else {}
    ranks, seconds = {}, {}
    with tempfile.TemporaryDirectory() as folder, rich_progress() as progress:
        run = Run.create(Path(folder) / "run", early, RunOptions(given.seed, given.k_core, given.split))
        train(run, ["ncf"], flags, resume=False, progress=progress)
        new = run.update(whole)
        split = run.split()
        matrix = history_matrix(split.training, len(split.tracks))

        def rank(name: str, scorer: Scorer) -> None:
            ranks[name] = full_ranking(scorer, split.test.histories, split.test.targets)

        for name, build in (("popularity", popularity), ("EASE", ease)):
            started = time.perf_counter()
            scorer = build(matrix)
            seconds[name] = time.perf_counter() - started
            rank(name, scorer)
        record = update(run, ["ncf"], progress=progress)["ncf"]
        seconds[UPDATED] = record["seconds"]
        rank(UPDATED, core_scorers(run, split)["ncf"]())
        seconds[REFIT] = train(run, ["ncf"], flags, resume=False, progress=progress)["ncf"]["seconds"]
        rank(REFIT, core_scorers(run, split)["ncf"]())
    gains = {name: ndcg(value, K) for name, value in ranks.items()}
    means, ratios = mean_intervals(gains), paired_ratios(gains, baseline=REFIT)
    rows = [
        {
            "model": name,
            "metrics": {
                f"hr@{K}": float(hit_rate(value, K).mean()),
                f"ndcg@{K}": means[name].estimate,
                "seconds": round(seconds[name], 2),
            },
            "interval": means[name].to_json(),
            "ratio": ratios[name].to_json() if name in ratios else None,
        }
        for name, value in ranks.items()
    ]
    protocol = {
        "dataset": run.name,
        "earlier": f"{given.share:.0%} of {'each history' if given.by == 'history' else 'the listeners'}",
        "new": new,
        "changed_listeners": record["updated"]["changed_listeners"],
        "core_listeners": run.counts["core_listeners"],
        "split": f"one new track ({given.split}), {given.k_core}-core, seed {given.seed}",
        "listeners": len(split.test.targets),
        "seconds_ratio": round(seconds[UPDATED] / seconds[REFIT], 3),
        "baseline": REFIT,
    }
    if given.json:
        print(json.dumps({"protocol": protocol, "rows": rows}, indent=2))  # noqa: T201
        return
    table = Table(title=f"{run.name}, {protocol['earlier']} first: {len(split.test.targets):,} listeners, {new}")
    table.add_column("model")
    for column in (f"HR@{K}", f"NDCG@{K}", f"NDCG@{K} / refit (95 %)", "seconds", "/ refit"):
        table.add_column(column, justify="right")
    for name, value in ranks.items():
        ratio = ratios.get(name)
        table.add_row(
            name,
            f"{hit_rate(value, K).mean():.4f}",
            f"{means[name].estimate:.4f}",
            f"{ratio.estimate:.3f} ({ratio.low:.3f}–{ratio.high:.3f})" if ratio else "",
            f"{seconds[name]:.1f}",
            f"{seconds[name] / seconds[REFIT]:.2f}",
        )
    Console().print(table)


def earlier(whole: Dataset, *, share: float, by: str, seed: int) -> Dataset:
    """The first `share` of each history, at least one track, or the histories of that share of the listeners."""
    interactions = whole.interactions
    if by == "listeners":
        kept = np.random.default_rng(seed).random(whole.n_users) < share
        return whole.with_interactions(interactions.take(kept[interactions.users]))
    offsets = interactions.offsets(whole.n_users)
    place = np.arange(len(interactions)) - offsets[interactions.users]
    first = np.ceil(share * np.diff(offsets))[interactions.users]
    return whole.with_interactions(interactions.take(place < first))


if __name__ == "__main__":
    main()
