"""Queries a second at equal recall: our index beside usearch and hnswlib, in one run; and the memory it takes.

Every contender is built over the same unit vectors, takes the narrowest search that reaches the recall, and answers all
queries in one batch on one thread. Seconds are those of the processor, and rounds take turns, so that what else the
machine does counts for less. Memory is what a fresh process holds after it opened our index, answered all queries and
read every vector, less what it held before. The peers: pip install usearch hnswlib.
Where other work shares the processors, OMP_WAIT_POLICY=passive keeps waiting threads from spinning.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from support.vectors import track_vectors

from audotics.bundle.indexes.exact import exact_search, recall_of
from audotics.bundle.indexes.settings import IndexKind
from audotics.bundle.indexes.stored import StoredIndex
from audotics.exporters.index import write_tuned
from audotics.exporters.indexing.goal import Goal
from audotics.exporters.indexing.tuning import tune
from audotics.server.retrieval.vectors import VectorIndex
from audotics.training.progress import Quiet

LINKS: Final = 16
EDGE_WIDTH: Final = 200
WIDTHS: Final = (10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256)
ROUNDS: Final = 7
CHANGED: Final = 100
OURS: Final = "audotics"

Search = Callable[[NDArray[np.float32]], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Contender:
    """`ladder` are ways to search, each wider than the one before, with their names."""

    name: str
    build_s: float
    ladder: Sequence[tuple[str, Search]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `ratio` is to the fastest peer's queries a second."""

    vectors: int
    name: str
    search: str
    build_s: float
    recall: float
    qps: float
    ratio: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tracks", type=int, nargs="+", default=[100_000, 1_000_000])
    arguments.add_argument("--dimension", type=int, default=64)
    arguments.add_argument("--queries", type=int, default=2000)
    arguments.add_argument("--k", type=int, default=10)
    arguments.add_argument("--recall", type=float, default=0.95)
    arguments.add_argument("--build-threads", type=int, default=os.cpu_count() or 1)
    arguments.add_argument("--peers", nargs="*", choices=tuple(PEERS), default=list(PEERS), help="to stand beside")
    arguments.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments.add_argument("--rss-of", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.rss_of is not None:
        print(json.dumps(resident(given.rss_of)))  # noqa: T201
        return
    rows: list[Row] = []
    memory: dict[int, float] = {}
    changes: dict[int, float] = {}
    for n in given.tracks:
        with tempfile.TemporaryDirectory() as folder:
            rows += compare(n, Path(folder), given)
            memory[n] = memory_ratio(Path(folder))
            changes[n] = change_ms(Path(folder))
        gc.collect()
    if given.json:
        value = {"rows": [asdict(row) for row in rows], "memory_ratio": memory, "change_ms": changes}
        print(json.dumps(value, indent=2))  # noqa: T201
        return
    console = Console()
    table = Table(title=f"recall@{given.k} ≥ {given.recall}, {given.queries} queries in a batch, one thread")
    for column in ("vectors", "index", "search", "build s", "recall", "QPS", "× best peer"):
        table.add_column(column, justify="left" if column in ("index", "search") else "right")
    for row in rows:
        numbers = (f"{row.build_s:.0f}", f"{row.recall:.4f}", f"{row.qps:,.0f}", f"{row.ratio:.2f}")
        table.add_row(f"{row.vectors:,}", row.name, row.search, *numbers)
    console.print(table)
    for n, ratio in memory.items():
        console.print(f"{n:,} × {given.dimension}: served in {ratio:.2f} × the memory of the vectors alone")
        console.print(f"{n:,} × {given.dimension}: {2 * CHANGED} changes are seen after {changes[n]:.1f} ms")


def compare(n: int, folder: Path, given: argparse.Namespace) -> list[Row]:
    """The table's rows for `n` vectors; our index is left in `folder`."""
    vectors, queries = track_vectors(n, given.dimension, queries=given.queries + 512)
    chooses, queries = queries[:512], queries[512:]
    faiss.omp_set_num_threads(given.build_threads)
    kth = exact_search(queries, vectors, given.k)[0][:, -1]
    contenders = [ours(vectors, chooses, folder, given)]
    for name in given.peers:
        module, build = PEERS[name]
        try:
            contenders.append(build(importlib.import_module(module), vectors, given))
        except ImportError:
            print(f"{name} is not installed and left out", file=sys.stderr)  # noqa: T201
    chosen = [(contender, *narrowest(contender, queries, vectors, kth, given.recall)) for contender in contenders]
    seconds = {contender.name: float("inf") for contender in contenders}
    for _ in range(ROUNDS):
        for contender, _, search, _ in chosen:
            started = time.process_time()
            search(queries)
            seconds[contender.name] = min(seconds[contender.name], time.process_time() - started)
    qps = {name: len(queries) / value for name, value in seconds.items()}
    best_peer = max((value for name, value in qps.items() if name != OURS), default=float("nan"))
    return [
        Row(n, contender.name, label, contender.build_s, recall, qps[contender.name], qps[contender.name] / best_peer)
        for contender, label, _, recall in chosen
    ]


def narrowest(
    contender: Contender,
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    kth: NDArray[np.float32],
    target: float,
) -> tuple[str, Search, float]:
    """The first search of the ladder that reaches the recall, or its last."""
    recall = 0.0
    for label, search in contender.ladder:
        recall = recall_of(search(queries), queries, vectors, kth_best=kth)
        if recall >= target:
            return label, search, recall
    return *contender.ladder[-1], recall


def ours(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], folder: Path, given: argparse.Namespace
) -> Contender:
    """What the tuner chooses for batches, of every kind but the graph, which is the peers' own."""
    kinds = (IndexKind.IVF_FLAT, IndexKind.IVF_PQ)
    goal = Goal(given.k, given.recall, kinds=kinds, batch=given.queries)
    started = time.monotonic()
    tuned = tune(vectors, queries, goal, progress=Quiet(), title="index", threads=given.build_threads)
    build_s = time.monotonic() - started
    write_tuned(folder, tuned)
    index = StoredIndex.open(folder)
    widened = [index.settings]
    for _ in range(8):  # where the tuner's queries were easier than these
        probes = widened[-1].probes + max(1, widened[-1].probes // 8)
        widened.append(replace(widened[-1], probes=min(probes, index.settings.lists)))

    def by(searched: StoredIndex) -> Search:
        return lambda batch: searched.search(batch, given.k)[1]

    ladder = [(settings.label, by(replace(index, settings=settings))) for settings in widened]
    return Contender(OURS, build_s, ladder)


def hnswlib(module: Any, vectors: NDArray[np.float32], given: argparse.Namespace) -> Contender:
    started = time.monotonic()
    index = module.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), ef_construction=EDGE_WIDTH, M=LINKS)
    index.add_items(vectors, num_threads=given.build_threads)

    def by(width: int) -> Search:
        def search(batch: NDArray[np.float32]) -> NDArray[np.int64]:
            index.set_ef(width)
            return np.asarray(index.knn_query(batch, given.k, num_threads=1)[0], np.int64)

        return search

    return Contender("hnswlib", time.monotonic() - started, [(f"M {LINKS} ef {width}", by(width)) for width in WIDTHS])


def usearch(module: Any, vectors: NDArray[np.float32], given: argparse.Namespace) -> Contender:
    started = time.monotonic()
    index = module.Index(ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=LINKS, expansion_add=EDGE_WIDTH)
    index.add(np.arange(len(vectors)), vectors, threads=given.build_threads)

    def by(width: int) -> Search:
        def search(batch: NDArray[np.float32]) -> NDArray[np.int64]:
            index.expansion_search = width
            return np.asarray(index.search(batch, given.k, threads=1).keys, np.int64)

        return search

    return Contender("usearch", time.monotonic() - started, [(f"M {LINKS} ef {width}", by(width)) for width in WIDTHS])


PEERS: Final = {"hnswlib": ("hnswlib", hnswlib), "usearch": ("usearch.index", usearch)}


def change_ms(folder: Path) -> float:
    """The longest of some times from 100 new vectors and 100 deletes to the end of the first search that heeds them."""
    index = VectorIndex.open(folder)
    index.search(index.stored.queries, 100)  # a server's files are in memory
    random = np.random.default_rng(0)
    times = []
    for _ in range(ROUNDS):
        fresh = random.normal(size=(CHANGED, index.dimension)).astype(np.float32)
        deleted = random.choice(index.size, CHANGED, replace=False)
        started = time.perf_counter()
        changed = index.with_vectors(np.arange(index.size, index.size + CHANGED), fresh).with_deleted(deleted)
        changed.search(fresh[:1], 100)
        times.append(time.perf_counter() - started)
    return 1e3 * max(times)


def memory_ratio(folder: Path) -> float:
    """Memory of serving the index in `folder`, over that of its vectors."""
    command = [sys.executable, __file__, "--rss-of", str(folder)]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return float(measured["grown"] / measured["vectors"])


def resident(folder: Path) -> dict[str, int]:
    """By how many bytes this process grew when the index was opened, searched and read; and what vectors take."""
    np.ones((256, 256), np.float32) @ np.ones((256, 256), np.float32)  # the libraries' own buffers come first
    before = _rss_bytes()
    index = StoredIndex.open(folder)
    index.search(index.queries, 100)
    for start in range(0, index.size, 10_000):
        index.vectors[start : start + 10_000].sum()
    gc.collect()
    return {"grown": _rss_bytes() - before, "vectors": index.vectors.nbytes}


def _rss_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
