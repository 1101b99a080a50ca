"""Exact search on this machine's devices beside what memory bandwidth allows: bytes scanned over bytes a second.

The bandwidth is measured first, by the same device reading the same amount of memory. A search has to read every
vector, once for all queries of a batch; the limit is that time. Large batches are bound by arithmetic instead, and are
shown for their queries a second. Where there is no GPU the same code runs on the CPU, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from support.vectors import track_vectors

from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.exact import exact_search, recall_of
from audotics.bundle.indexes.settings import IndexSettings
from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.retrieval.backends.backend import Backend, DeviceError
from audotics.server.retrieval.backends.gpu import CPU, GpuFaiss, Placement, Spread, gpu_count
from audotics.server.retrieval.backends.onnx import OnnxTopK

BATCHES: Final = (1, 16, 256)
ROUNDS: Final = 20
ON_GPU: Final = 1_000_000
ON_CPU: Final = 50_000
"""Vectors to search: a million would keep a CPU busy for minutes and say nothing more."""


@dataclass(frozen=True, slots=True)
class Row:
    """One backend at one batch size. `limit_ms` is the time to read the vectors once, `share` what is reached of it."""

    backend: str
    device: str
    batch: int
    recall: float
    milliseconds: float
    qps: float
    scanned_mib: float
    limit_ms: float
    share: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tracks", type=int, help="1,000,000 on a GPU and 50,000 on the CPU unless given")
    arguments.add_argument("--dimension", type=int, default=64)
    arguments.add_argument("--k", type=int, default=100)
    arguments.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = arguments.parse_args()
    on_gpu = gpu_count() > 0
    n_tracks = given.tracks or (ON_GPU if on_gpu else ON_CPU)
    progress = Console(stderr=True)
    if not on_gpu:
        progress.print("FAISS sees no GPU here: what follows are times of the same code on the CPU.")
    with progress.status("Making vectors"):
        vectors, queries = track_vectors(n_tracks, given.dimension, queries=max(BATCHES))
        stored = build_index(vectors, IndexSettings(), threads=1)
    device = "gpu" if on_gpu else "cpu"
    kth = exact_search(queries, vectors, given.k)[0][:, -1]
    rows = []
    for name, bytes_each, make in backends(stored):
        progress.print(f"measuring {name} on the {device.upper()}", style="dim")
        try:
            backend = make()
        except DeviceError as error:
            progress.print(f"{name} is left out: {error}")
            continue
        scanned = vectors.size * bytes_each
        limit_s = scanned / bandwidth(scanned, on_gpu=on_gpu)
        for batch in BATCHES:
            found = backend.search(queries[:batch], given.k)[1]
            recall = recall_of(found, queries[:batch], vectors, kth_best=kth[:batch])
            seconds = fastest(lambda batch=batch, backend=backend: backend.search(queries[:batch], given.k))
            rows.append(
                Row(
                    name,
                    device,
                    batch,
                    recall,
                    1e3 * seconds,
                    batch / seconds,
                    scanned / 2**20,
                    1e3 * limit_s,
                    limit_s / seconds,
                )
            )
        backend.close()
    if given.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))  # noqa: T201
        return
    table = Table(title=f"{n_tracks:,} × {given.dimension}, top {given.k}, on the {device.upper()}")
    for column in ("backend", "batch", "recall", "ms", "QPS", "MiB scanned", "limit ms", "limit / ms"):
        table.add_column(column, justify="left" if column == "backend" else "right")
    for row in rows:
        table.add_row(
            row.backend,
            str(row.batch),
            f"{row.recall:.4f}",
            f"{row.milliseconds:.3f}",
            f"{row.qps:,.0f}",
            f"{row.scanned_mib:.0f}",
            f"{row.limit_ms:.3f}",
            f"{row.share:.2f}",
        )
    Console().print(table)


def backends(stored: StoredIndex) -> list[tuple[str, int, Callable[[], Backend]]]:
    """What is measured: a name, the bytes of a stored number, and how to make it."""
    count = gpu_count()
    first = 0 if count else CPU
    found: list[tuple[str, int, Callable[[], Backend]]] = [
        ("FAISS float32", 4, lambda: GpuFaiss(stored, placement=Placement((first,), float16=False))),
        ("FAISS float16", 2, lambda: GpuFaiss(stored, placement=Placement((first,)))),
    ]
    if count > 1:
        every = tuple(range(count))
        found += [
            (f"FAISS float16, {count} shards", 2, lambda: GpuFaiss(stored, placement=Placement(every, Spread.SHARDED))),
            (f"FAISS float16, {count} replicas", 2, lambda: GpuFaiss(stored, placement=Placement(every))),
        ]
    found.append(("ONNX MatMul + TopK", 4, lambda: OnnxTopK(stored, device="cuda" if count else "cpu")))
    return found


def bandwidth(size_bytes: int, *, on_gpu: bool) -> float:
    """Bytes a second that one device reads: a sum over as much memory as a search scans."""
    if on_gpu:
        import torch

        if not torch.cuda.is_available():
            sys.exit("The bandwidth of a GPU is measured with PyTorch, and the one here is not built for CUDA.")
        values = torch.ones(size_bytes // 4, device="cuda")

        def read() -> None:
            values.sum().item()

        return size_bytes / fastest(read)
    numbers: NDArray[np.float32] = np.ones(size_bytes // 4, np.float32)
    return size_bytes / fastest(lambda: numbers.max())


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some rounds."""
    work()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    main()
