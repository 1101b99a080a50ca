"""How well the group model ranks, beside the best simple models: CAMRa2011, or groups simulated from listening data.

On the folder of CAMRa2011 in AGREE's split the reference is AGREE's HR@5 .591 and NDCG@5 .401 (its public log), and the
target .62 and .42. Any other data become groups of listeners with similar tastes who never met; see the head of
`audotics.data.simulated_groups`. "hr@5" is on all test rows as published, "new hr@5" on those whose track is new to the
group. Everything that a model leaves open is chosen on a validation part of the training data.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from audotics.cli.progress import rich_progress
from audotics.data.groups import GroupDataset
from audotics.data.loaders import load
from audotics.data.loaders.camra import MEMBER_FILE, load_camra
from audotics.data.simulated_groups import simulate_groups
from audotics.data.splits import k_core
from audotics.training.threads import wait_passively


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder or file with the data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="most epochs of the network, for a quick look")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    wait_passively(os.environ)
    result = _measure(arguments)
    if arguments.json:
        print(json.dumps(result, indent=2))  # noqa: T201
    else:
        Console().print(_table(result))


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    from audotics.models.group import GroupOptions  # PyTorch, which reads its thread policy when it is imported
    from audotics.training.checkpoints import Checkpoints
    from audotics.training.group import train_group
    from audotics.training.group_comparison import compare_group

    data = _groups(arguments.data, seed=arguments.seed)
    options = GroupOptions(epochs=arguments.epochs) if arguments.epochs else GroupOptions()
    with tempfile.TemporaryDirectory() as folder, rich_progress() as progress:
        started = time.monotonic()
        model, result = train_group(
            data,
            options,
            seed=arguments.seed,
            checkpoints=Checkpoints(Path(folder)),
            resume=False,
            progress=progress,
        )
        seconds = time.monotonic() - started
        rows = compare_group(model, data, options, seed=arguments.seed, progress=progress)
    return {
        "protocol": {
            "dataset": data.name,
            "groups": "simulated from single listeners" if data.simulated else "as the source has them",
            "read": dict(data.report.read),
            "dropped": dict(data.report.dropped),
            "negatives": "as published" if not data.simulated else "100 uniform, unheard",
            "test_rows": len(data.test),
            "new_rows": len(data.unheard(data.test)),
            "seed": arguments.seed,
        },
        "training": {"seconds": round(seconds, 1), **result.to_json()},
        "rows": [{"model": name, "metrics": metrics} for name, metrics in rows.items()],
    }


def _groups(path: Path, *, seed: int) -> GroupDataset:
    if (path / MEMBER_FILE).is_file():
        return load_camra(path)
    dataset = k_core(load(path), 5)
    histories = dataset.interactions.histories(dataset.n_users)
    return simulate_groups(dataset.name, dataset.tracks, dataset.user_ids, histories, seed=seed)


def _table(result: dict[str, Any]) -> Table:
    protocol, training = result["protocol"], result["training"]
    title = (
        f"{protocol['dataset']}, groups {protocol['groups']}: {protocol['test_rows']:,} test rows, "
        f"{protocol['new_rows']:,} of tracks new to the group; trained in {training['seconds']:.0f} s"
    )
    table = Table(title=title)
    names = list(result["rows"][0]["metrics"])
    table.add_column("")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for row in result["rows"]:
        table.add_row(row["model"], *(f"{row['metrics'][name]:.3f}" for name in names))
    return table


if __name__ == "__main__":
    main()
