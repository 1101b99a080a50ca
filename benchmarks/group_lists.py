"""Lists for groups: what each strategy does for the members, and how long a list takes by the size of the group.

    python benchmarks/group_lists.py --repository demo/repository

Groups are drawn from the catalogue's own listeners. A member's satisfaction is what the list is worth to them over what
the best list of its length would be, by the server's own models: it compares strategies, and says nothing of how well
the models know the listeners. Times are beside those of one list for one listener who was not served before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from support.serving import served

from audotics.bundle.catalog import read_histories
from audotics.bundle.store import BundleStore
from audotics.client import GroupStrategy, RecommenderClient

STRATEGIES = [strategy for strategy in GroupStrategy if strategy is not GroupStrategy.UNKNOWN]
SIZES = (1, 2, 5, 20, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", type=Path, required=True, help="a model repository with a catalogue")
    parser.add_argument("--groups", type=int, default=100, help="groups that each strategy serves")
    parser.add_argument("--members", type=int, default=4, help="members of each of them")
    parser.add_argument("--limit", type=int, default=20, help="tracks a list")
    parser.add_argument("--floor", type=float, default=0.7, help="the floor of the last row")
    parser.add_argument("--calls", type=int, default=20, help="timed calls a size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    options = parser.parse_args()
    store = BundleStore(options.repository)
    listeners = list(read_histories(store.open("catalog", store.versions("catalog")[-1]).path).user_ids)
    random = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "repository"
        link.symlink_to(options.repository.resolve())
        with (
            served(link, database_url=f"sqlite:///{folder}/state.db") as server,
            RecommenderClient(server.address, timeout_s=60.0) as client,
        ):
            found = {
                "strategies": _strategies(client, listeners, random, options),
                "sizes": _sizes(client, listeners, random, options),
            }
    if options.json:
        print(json.dumps(found, indent=2))  # noqa: T201
    else:
        _show(found, options)


def _strategies(
    client: RecommenderClient, listeners: list[str], random: np.random.Generator, options: argparse.Namespace
) -> list[dict[str, Any]]:
    groups = [random.choice(listeners, options.members, replace=False).tolist() for _ in range(options.groups)]
    rows = []
    for strategy, floor in [*((strategy, 0.0) for strategy in STRATEGIES), (GroupStrategy.AVERAGE, options.floor)]:
        answers = [
            client.recommend_group(group, strategy=strategy, fairness_floor=floor, limit=options.limit)
            for group in groups
        ]
        satisfactions = [[member.satisfaction for member in answer.members] for answer in answers]
        rows.append(
            {
                "strategy": strategy.value + (f", floor {floor:g}" if floor else ""),
                "satisfaction": float(np.mean(satisfactions)),
                "least_satisfied": float(np.mean(np.min(satisfactions, axis=1))),
                "harmony": float(np.mean([answer.harmony for answer in answers])),
                "made_as_asked": float(np.mean([answer.strategy == strategy for answer in answers])),
            }
        )
    return rows


def _sizes(
    client: RecommenderClient, listeners: list[str], random: np.random.Generator, options: argparse.Namespace
) -> list[dict[str, Any]]:
    alone = []
    for user_id in random.choice(listeners, options.calls, replace=len(listeners) < options.calls).tolist():
        started = time.perf_counter()
        client.recommend(user_id, exclude=["-"], limit=options.limit)  # with an exclusion, nothing remembered serves
        alone.append(time.perf_counter() - started)
    base = float(np.median(alone))
    rows = [{"members": None, "p50_ms": base * 1000, "ratio": 1.0}]
    for size in SIZES:
        taken = []
        for _ in range(options.calls):
            group = random.choice(listeners, min(size, len(listeners)), replace=False).tolist()
            started = time.perf_counter()
            client.recommend_group(group, limit=options.limit)
            taken.append(time.perf_counter() - started)
        median = float(np.median(taken))
        rows.append({"members": size, "p50_ms": median * 1000, "ratio": median / base})
    return rows


def _show(found: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    title = f"{options.groups} groups of {options.members} random listeners, {options.limit} tracks a list; means"
    table = Table(title=title)
    for column in ("strategy", "satisfaction", "least satisfied", "harmony"):
        table.add_column(column, justify="left" if column == "strategy" else "right")
    for row in found["strategies"]:
        name = row["strategy"].replace("_", " ")
        if row["made_as_asked"] < 1:
            name += f" ({row['made_as_asked']:.0%} made so)"
        table.add_row(name, *(f"{row[key]:.3f}" for key in ("satisfaction", "least_satisfied", "harmony")))
    times = Table(title=f"one caller, loopback, {options.calls} calls a row; milliseconds")
    for column in ("list for", "p50", "times one listener"):
        times.add_column(column, justify="left" if column == "list for" else "right")
    for row in found["sizes"]:
        name = "one listener, Recommend" if row["members"] is None else f"a group of {row['members']}"
        times.add_row(name, f"{row['p50_ms']:.1f}", f"{row['ratio']:.1f}")
    Console().print(table)
    Console().print(times)


if __name__ == "__main__":
    main()
