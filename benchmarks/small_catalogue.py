"""Training everything on a small catalogue: seconds of each kind, and the size of what is exported.

`audotics train all` on a synthetic catalogue and `audotics export`, as a user would run them. The first version of the
product took 30 seconds and 50 MB for 1,000 tracks. The target is 10 seconds for the kinds that need no TensorFlow, and
50 MB for all bundles together. Where TensorFlow is installed the hybrid weighs the content model as well, so that a
machine without it takes a little less.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from audotics.training.kinds import KINDS

_TENSORFLOW: Final = "tensorflow"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=1_000)
    parser.add_argument("--listeners", type=int, default=1_000)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run, repository = Path(folder) / "run", Path(folder) / "repository"
        sizes = ["--tracks", str(given.tracks), "--listeners", str(given.listeners)]
        _audotics("train", "all", "--synthetic", *sizes, "--output", str(run))
        _audotics("export", str(run), "--repository", str(repository))
        kinds = json.loads((run / "run.json").read_text("utf-8"))["kinds"]
        rows = [_row(kind, record, repository) for kind, record in kinds.items()]
        catalogue = _mebibytes(repository / "catalog")
    light = [row for row in rows if not row["keras"]]
    totals = {
        "seconds_without_keras": round(sum(row["seconds"] for row in light), 1),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "mebibytes": round(catalogue + sum(row["mebibytes"] for row in rows), 1),
    }
    if given.json:
        print(json.dumps({"tracks": given.tracks, "rows": rows, **totals}, indent=2))  # noqa: T201
        return
    table = Table(title=f"{given.tracks:,} tracks, {given.listeners:,} listeners")
    for column in ("kind", "seconds", "MiB exported"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for row in rows:
        table.add_row(
            row["kind"] + (" (Keras)" if row["keras"] else ""), f"{row['seconds']:.1f}", f"{row['mebibytes']:.1f}"
        )
    table.add_section()
    table.add_row("without Keras", f"{totals['seconds_without_keras']:.1f}", "")
    table.add_row("everything, with the catalogue", f"{totals['seconds']:.1f}", f"{totals['mebibytes']:.1f}")
    Console().print(table)


def _row(kind: str, record: dict[str, Any], repository: Path) -> dict[str, Any]:
    package = KINDS[kind].package
    return {
        "kind": kind,
        "keras": package is not None and package[0] == _TENSORFLOW,
        "seconds": record["seconds"],
        "mebibytes": _mebibytes(repository / kind),
    }


def _mebibytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def _audotics(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "audotics.cli.main", *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
