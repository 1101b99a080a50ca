"""The tables of docs/models.md: data go in, every benchmark of a model is run, and its table stands in the page.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`. What a benchmark printed is kept in --results, and is
taken from there the next time unless --fresh is given, so that an interrupted run goes on. All of them take some hours
on two cores; --only runs some.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from rich.console import Console

PAGE: Final = Path(__file__).parents[1] / "docs" / "models.md"
RANKING: Final = ("hr@10", "ndcg@10")
LABELS: Final = ("accuracy", "precision", "recall", "f1", "ece")
UPDATES: Final = (*RANKING, "seconds")
GROUPS: Final = ("hr@5", "ndcg@5", "new_hr@5", "new_ndcg@5", "satisfaction", "harmony", "min_satisfaction")


@dataclass(frozen=True, slots=True)
class Entry:
    """A table: the script that makes it, the data that it needs, and the metrics that it shows."""

    script: str
    data: str
    metrics: Sequence[str] = RANKING
    arguments: Sequence[str] = ()

    def command(self, data: Path) -> list[str]:
        script = Path(__file__).parent / self.script
        return [sys.executable, str(script), "--data", str(data / self.data), "--json", *self.arguments]


YES: Final = "yes-playlists-small"
LASTFM: Final = "hetrec2011-lastfm-2k"

ENTRIES: Final = MappingProxyType(
    {
        "ncf-ml1m": Entry("ncf_ml1m.py", "ml-1m-ncf"),
        "collaborative-yes": Entry("collaborative_model.py", YES),
        "collaborative-lastfm": Entry("collaborative_model.py", LASTFM),
        "hybrid-yes": Entry("hybrid_model.py", YES),
        "hybrid-yes-last": Entry("hybrid_model.py", YES, arguments=("--split", "last")),
        "hybrid-lastfm": Entry("hybrid_model.py", LASTFM),
        "cold-yes": Entry("cold_tracks.py", YES),
        "cold-lastfm": Entry("cold_tracks.py", LASTFM),
        "unseen-yes": Entry("unseen_listeners.py", YES),
        "unseen-lastfm": Entry("unseen_listeners.py", LASTFM),
        "incremental-yes": Entry("incremental.py", YES, UPDATES),
        "incremental-yes-listeners": Entry("incremental.py", YES, UPDATES, ("--by", "listeners")),
        "incremental-lastfm": Entry("incremental.py", LASTFM, UPDATES),
        "deep-yes": Entry("deep_model.py", YES),
        "deep-lastfm": Entry("deep_model.py", LASTFM),
        "text-yes": Entry("text_model.py", YES),
        "text-lastfm": Entry("text_model.py", LASTFM),
        "group": Entry("group_model.py", "camra2011", GROUPS),
        "genre": Entry("genre_model.py", "gtzan", LABELS),
        "product-genre": Entry("genre_model.py", "spotify-songs", LABELS, ("--folds", "5")),
        "mood": Entry("mood_model.py", "mood", LABELS),
    }
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder a data set")
    parser.add_argument("--results", type=Path, default=Path(".benchmarks"), help="folder of what was printed")
    parser.add_argument("--only", nargs="*", choices=ENTRIES, default=list(ENTRIES), help="tables to make [all]")
    parser.add_argument("--fresh", action="store_true", help="run benchmarks again whose results are there")
    arguments = parser.parse_args()
    console = Console()
    arguments.results.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        entry, kept = ENTRIES[name], arguments.results / f"{name}.json"
        if arguments.fresh or not kept.is_file():
            with console.status(name):
                done = subprocess.run(entry.command(arguments.data), stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                sys.exit(f"{name}: {entry.script} failed; its table is as it was")
            kept.write_text(done.stdout, "utf-8")
        table = markdown(json.loads(kept.read_text("utf-8")), entry)
        # Read anew each time: while a benchmark runs for an hour, somebody may edit the page.
        PAGE.write_text(replaced(PAGE.read_text("utf-8"), name, table), "utf-8")
        console.print(f"{name}: in the page")


def replaced(page: str, name: str, table: str) -> str:
    """`page` with `table` between the marks of `name`."""
    pattern = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(page):
        sys.exit(f"{PAGE.name}: has no place for the table {name!r}; add `<!-- table: {name} -->` and `<!-- end -->`")
    return pattern.sub(lambda marks: f"{marks.group(1)}{table}{marks.group(2)}", page)


def markdown(result: dict[str, Any], entry: Entry) -> str:
    """A table of the rows, with the command that made them above it."""
    rows = result["rows"]
    shown = [name for name in entry.metrics if any(name in row["metrics"] for row in rows)]
    baseline = result["protocol"].get("baseline")
    ratio = [f"NDCG / {baseline} (95 %)"] if any(row.get("ratio") for row in rows) else []
    header = ["model", *(name.upper() if "@" in name else name for name in shown), *ratio]
    lines = [_line(header), _line(["---"] * len(header))]
    lines += [_line([row["model"], *_numbers(row, shown), *(_ratio(row) for _ in ratio)]) for row in rows]
    command = " ".join(["benchmarks/" + entry.script, "--data", f"DATA/{entry.data}", *entry.arguments])
    return f"`python {command}`\n\n" + "\n".join(lines) + "\n"


def _numbers(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    metrics: dict[str, float] = row["metrics"]
    digits = {"seconds": 1}
    return [f"{metrics[name]:.{digits.get(name, 4)}f}" if name in metrics else "–" for name in names]


def _ratio(row: dict[str, Any]) -> str:
    ratio = row.get("ratio")
    return f"{ratio['estimate']:.3f} ({ratio['low']:.3f}–{ratio['high']:.3f})" if ratio else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
