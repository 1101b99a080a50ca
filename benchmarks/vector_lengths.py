"""Inner products over vectors of very different lengths: what ways to make lists find, and how fast.

By angle is FAISS's own way for inner products. One more dimension makes all vectors equally long, so that the nearest
by distance is the best by inner product. By distance, searched by inner product, is ours; with a head, the longest
vectors are compared exactly. Vectors and queries come from files (`vectors.npy` and `queries.npy` of a bundle), or are
seeded: clusters with log-normal lengths. Queries a second are those of one thread's processor time, in one batch.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from support.vectors import stretched, track_vectors

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.exact import exact_search, recall_of
from audotics.bundle.indexes.settings import IndexKind, IndexSettings

PROBES: Final = (4, 16, 64)
HEAD_SHARES: Final = (0.0, 0.01, 0.04)

Search = Callable[[NDArray[np.float32]], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Row:
    """One way to make lists, and one number of them that a search visits."""

    lists: str
    probes: int
    recall: float
    qps: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--vectors", type=Path, help=".npy of float32 (n, d); unset makes some")
    arguments.add_argument("--queries", type=Path, help=".npy of float32 (q, d)")
    arguments.add_argument("--tracks", type=int, default=100_000)
    arguments.add_argument("--spread", type=float, default=0.5, help="deviation of the logarithm of a length")
    arguments.add_argument("--k", type=int, default=100)
    arguments.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = arguments.parse_args()
    if given.vectors is not None and given.queries is not None:
        vectors, queries = (np.ascontiguousarray(np.load(path), np.float32) for path in (given.vectors, given.queries))
    else:
        vectors, queries = track_vectors(given.tracks, 64, queries=500)
        vectors = stretched(vectors, spread=given.spread)
    faiss.omp_set_num_threads(1)
    kth = exact_search(queries, vectors, given.k)[0][:, -1]
    rows = []
    for name, probes, search in searches(vectors, given.k):
        found, seconds = search(queries), []
        for _ in range(3):
            started = time.thread_time()
            search(queries)
            seconds.append(time.thread_time() - started)
        recall = recall_of(found, queries, vectors, kth_best=kth)
        rows.append(Row(name, probes, recall, len(queries) / min(seconds)))
    if given.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))  # noqa: T201
        return
    lengths = np.linalg.norm(vectors, axis=1)
    middle, long, longest = np.quantile(lengths, [0.5, 0.99, 1.0])
    table = Table(
        title=f"{len(vectors):,} vectors, lengths: median {middle:.2f}, 99 % {long:.2f}, longest {longest:.1f}"
    )
    for column in ("lists", "probes", f"recall@{given.k}", "QPS"):
        table.add_column(column, justify="left" if column == "lists" else "right")
    for row in rows:
        table.add_row(row.lists, str(row.probes), f"{row.recall:.3f}", f"{row.qps:,.0f}")
    Console().print(table)


def searches(vectors: NDArray[np.float32], k: int) -> list[tuple[str, int, Search]]:
    """Every way to make lists, with every number of probes."""
    n, dimension = vectors.shape
    lists = round(4 * n**0.5)
    found: list[tuple[str, int, Search]] = []
    by_angle = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT)
    squares = (vectors**2).sum(axis=1, keepdims=True)
    longer = np.hstack([vectors, np.sqrt(np.maximum(squares.max() - squares, 0))]).astype(np.float32)
    equal = faiss.IndexIVFFlat(faiss.IndexFlatL2(dimension + 1), dimension + 1, lists, faiss.METRIC_L2)
    for name, index, rows in (("by angle", by_angle, vectors), ("one more dimension", equal, longer)):
        index.cp.min_points_per_centroid = 1  # or FAISS prints warnings for few vectors
        index.train(rows)
        index.add(rows)
        found += [(name, probes, by_faiss(index, probes, k)) for probes in PROBES]
    for share in HEAD_SHARES:
        head = round(share * n)
        settings = IndexSettings(IndexKind.IVF_FLAT, lists=lists, probes=1, head_rows=head)
        stored = build_index(vectors, settings, threads=1)
        name = "by distance" + (f", head of {head:,}" if head else "")
        for probes in PROBES:
            wider = replace(stored, settings=replace(settings, probes=probes))
            found.append((name, probes, lambda queries, wider=wider: wider.search(queries, k)[1]))
    return found


def by_faiss(index: Any, probes: int, k: int) -> Search:
    """Search as FAISS does, with a 0 for the dimension that an index has beyond the queries'."""

    def search(queries: NDArray[np.float32]) -> NDArray[np.int64]:
        padded = np.zeros((len(queries), index.d), np.float32)
        padded[:, : queries.shape[1]] = queries
        rows: NDArray[np.int64] = index.search(padded, k, params=faiss.SearchParametersIVF(nprobe=probes))[1]
        return rows

    return search


if __name__ == "__main__":
    main()
