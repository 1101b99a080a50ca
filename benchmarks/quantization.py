"""What float16 and int8 save and cost: file size, time of a call, and NDCG@10, beside float32.

Models of a run are exported at each precision, as `audotics export --precision` does it. NDCG@10 is that of the
exported files on the run's test listeners, 2,000 at most, among all tracks. The time is that of a call with recorded
inputs on one thread of ONNX Runtime; the precisions are called in turns, and medians are divided.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from audotics.cli.progress import rich_progress
from audotics.data.loaders import load
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.formats import Formats
from audotics.exporters.prepared import Prepared, Source, read_source
from audotics.exporters.quantization import PRECISIONS, Precision
from audotics.exporters.warmup import WARMUP_FILE
from audotics.training.pipeline import TrainingOptions, train
from audotics.training.progress import Quiet
from audotics.training.run import Run, RunOptions
from audotics.training.threads import wait_passively

KINDS: Final = ("collaborative", "content", "ncf")
"""The hybrid's gate has nothing to save: it stays at float32."""

CALLS: Final = 400
_TURN: Final = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder or file with the data to train on")
    source.add_argument("--run", type=Path, help="folder of a run that is trained already")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--epochs", type=int, help="most epochs of the neural models, for a quick look")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    with nullcontext() if arguments.run else tempfile.TemporaryDirectory() as folder:
        run = Run.open(arguments.run) if folder is None else _trained(arguments, Path(folder) / "run")
        rows = _measure(read_source(run), arguments.kinds)
    if arguments.json:
        print(json.dumps({"dataset": run.name, "rows": rows}, indent=2))  # noqa: T201
    else:
        Console().print(_table(run.name, rows))


def _trained(arguments: argparse.Namespace, folder: Path) -> Run:
    wait_passively(os.environ)
    options = TrainingOptions()
    if arguments.epochs:
        shorter = {kind: replace(getattr(options, kind), epochs=arguments.epochs) for kind in ("content", "ncf")}
        options = replace(options, **shorter)
    run = Run.create(folder, load(arguments.data), RunOptions(arguments.seed))
    with rich_progress() as progress:
        train(run, arguments.kinds, options, resume=False, progress=progress)
    return run


def _measure(source: Source, kinds: list[str]) -> list[dict[str, Any]]:
    rows = []
    with rich_progress() as progress, progress.stage("export", len(kinds) * len(PRECISIONS)) as stage:
        for kind in kinds:
            with tempfile.TemporaryDirectory() as scratch:
                exports: dict[Precision, Prepared] = {}
                for precision in PRECISIONS:
                    stage.advance(0, f"{kind}, {precision}")
                    folder = Path(scratch) / precision
                    folder.mkdir()
                    exports[precision] = _prepare(kind, source, folder, Formats(False, precision))
                    stage.advance(1, f"{kind}, {precision}")
                rows += _rows(kind, exports)
    return rows


def _prepare(kind: str, source: Source, folder: Path, formats: Formats) -> Prepared:
    if kind == "content":
        from audotics.exporters.kinds import content  # Keras and TensorFlow, which other kinds do not need

        return content.prepare(source, folder, Quiet(), formats=formats)
    from audotics.exporters.kinds import collaborative, ncf

    prepare = {"collaborative": collaborative.prepare, "ncf": ncf.prepare}[kind]
    return prepare(source, folder, Quiet(), formats=formats)


def _rows(kind: str, exports: Mapping[Precision, Prepared]) -> list[dict[str, Any]]:
    seconds = _seconds(exports)
    sizes = {precision: (export.folder / MODEL_FILE).stat().st_size for precision, export in exports.items()}
    whole = exports["int8"].metrics["ndcg@10_float32"]
    return [
        {
            "model": kind,
            "precision": precision,
            "size_bytes": sizes[precision],
            "size_ratio": sizes[precision] / sizes["float32"],
            "time_ratio": seconds[precision] / seconds["float32"],
            "time_us": 1e6 * seconds[precision],
            "max_abs_diff": export.parity["max_abs_diff"],
            "ndcg@10": whole if precision == "float32" else export.metrics["ndcg@10"],
            "ndcg_ratio": 1.0 if precision == "float32" else export.metrics["ndcg@10"] / whole,
            "listeners": exports["int8"].metrics["precision_listeners"],
        }
        for precision, export in exports.items()
    ]


def _seconds(exports: Mapping[Precision, Prepared]) -> dict[Precision, float]:
    """Median seconds of a call with the recorded inputs, in turns of twenty calls; the first turns do not count."""
    models = {precision: ExportedModel(export.folder / MODEL_FILE) for precision, export in exports.items()}
    with np.load(exports["float32"].folder / WARMUP_FILE, allow_pickle=False) as recorded:
        feeds = dict(recorded)
    taken: dict[Precision, list[float]] = {precision: [] for precision in models}
    for _ in range(0, CALLS + _TURN, _TURN):
        for precision, model in models.items():
            for _ in range(_TURN):
                started = time.perf_counter()
                model.run(feeds)
                taken[precision].append(time.perf_counter() - started)
    return {precision: float(np.median(values[_TURN:])) for precision, values in taken.items()}


def _table(name: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=f"{name}: exports at each precision; {rows[0]['listeners']:,.0f} test listeners")
    for column in ("model", "precision", "MB", "size", "time", "max diff", "NDCG@10", "/ float32"):
        table.add_column(column, justify="left" if column in ("model", "precision") else "right")
    for row in rows:
        table.add_row(
            row["model"],
            row["precision"],
            f"{row['size_bytes'] / 1e6:.2f}",
            f"{row['size_ratio']:.2f} ×",
            f"{row['time_ratio']:.2f} ×",
            f"{row['max_abs_diff']:.1e}",
            f"{row['ndcg@10']:.4f}",
            f"{row['ndcg_ratio']:.4f}",
        )
    return table


if __name__ == "__main__":
    main()
