"""What the row batcher costs: rows scored a second through it, beside a bare loop over ONNX Runtime.

Both run the NCF graph that the exporter writes, on one thread, in batches of the same number of rows. The bare loop has
its batch ready-made; through the batcher, callers submit jobs of fewer rows, which are put together, run, and taken
apart again, and each run is supervised, as it is in the server. They take turns, so that what else the machine does
falls on both. The target is 0.9 of the bare loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.graphs.ncf import ncf_graph
from audotics.models.ncf import Ncf
from audotics.server.batching.batcher import BatchLimits, RowBatcher
from audotics.server.repository.parts import NcfPairs, NcfPart
from audotics.server.repository.rows import RowMap
from audotics.server.runtime.onnx import OnnxModel
from audotics.server.runtime.supervisor import RunSupervisor

_DIMENSION: Final = 64
_HISTORY: Final = 50


@dataclass(frozen=True, slots=True)
class Job:
    """A listener's history, and tracks to score for them."""

    history: NDArray[np.int64]
    tracks: NDArray[np.int64]


class Pairs:
    """Jobs of one batch."""

    def __init__(self, pairs: NcfPairs) -> None:
        self._pairs = pairs
        self._logits = np.empty(0, np.float32)

    def run(self) -> None:
        self._logits = self._pairs.logits()

    def results(self) -> list[NDArray[np.float32]]:
        return self._pairs.part(self._logits)


class Scoring:
    """NCF as a workload."""

    def __init__(self, part: NcfPart) -> None:
        self._part = part

    def rows(self, job: Job) -> int:
        return len(job.tracks)

    def key(self, job: Job) -> Hashable:
        return None

    def split(self, job: Job, limit_rows: int) -> list[Job]:
        places = range(0, len(job.tracks), limit_rows)
        return [Job(job.history, job.tracks[place : place + limit_rows]) for place in places]

    def join(self, results: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.concatenate(results)

    def assemble(self, jobs: Sequence[Job]) -> Pairs:
        return Pairs(self._part.pairs([job.history for job in jobs], [job.tracks for job in jobs]))


@dataclass(frozen=True, slots=True)
class Result:
    """Rows a second, medians over the rounds; `ratio` is the median of the rounds' own."""

    batch_rows: int
    job_rows: int
    bare_rows_per_s: float
    batcher_rows_per_s: float
    ratio: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=20_000)
    parser.add_argument("--batch-rows", type=int, default=4096)
    parser.add_argument("--job-rows", type=int, nargs="+", default=[128, 512, 2048])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batches", type=int, default=40, help="in a round")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RunSupervisor(limit_s=30.0) as supervisor:
        path = Path(folder) / "ncf" / "1" / MODEL_FILE
        path.parent.mkdir(parents=True)
        ncf_graph(Ncf(arguments.tracks, _DIMENSION).eval()).save(path)
        results = [
            _measure(
                OnnxModel(path, threads=1),
                OnnxModel(path, threads=1, supervisor=supervisor),
                n_tracks=arguments.tracks,
                batch_rows=arguments.batch_rows,
                job_rows=job_rows,
                rounds=arguments.rounds,
                batches=arguments.batches,
            )
            for job_rows in arguments.job_rows
        ]
    console = Console()
    if arguments.json:
        console.print_json(json.dumps([asdict(result) for result in results]))
    else:
        console.print(_table(results))


def _measure(
    model: OnnxModel,
    supervised: OnnxModel,
    *,
    n_tracks: int,
    batch_rows: int,
    job_rows: int,
    rounds: int,
    batches: int,
) -> Result:
    random = np.random.default_rng(0)
    n_jobs = batch_rows // job_rows
    jobs = [Job(random.integers(0, n_tracks, _HISTORY), random.integers(0, n_tracks, job_rows)) for _ in range(n_jobs)]
    feeds = {
        "history": np.stack([job.history for job in jobs]),
        "user_index": np.repeat(np.arange(n_jobs), job_rows),
        "track": np.concatenate([job.tracks for job in jobs]),
    }
    scoring = Scoring(NcfPart(1, supervised, RowMap(n_tracks)))
    limits = BatchLimits(batch_rows=batch_rows, queue_rows=4 * batch_rows)

    async def batched(executor: ThreadPoolExecutor) -> float:
        async with RowBatcher(scoring, executor=executor, limits=limits) as batcher:

            async def caller(job: Job) -> None:
                for _ in range(batches):
                    await batcher.submit(job)

            # Two batches' worth of callers: while one batch runs, the next one gathers.
            started = time.perf_counter()
            await asyncio.gather(*(caller(job) for job in jobs * 2))
            return 2 * batches * n_jobs * job_rows / (time.perf_counter() - started)

    def bare() -> float:
        started = time.perf_counter()
        for _ in range(batches):
            model.run(feeds, ["logit"])
        return batches * n_jobs * job_rows / (time.perf_counter() - started)

    with ThreadPoolExecutor(1) as executor:
        pairs = [(bare(), asyncio.run(batched(executor))) for _ in range(rounds + 1)]
    bare_speeds, speeds = zip(*pairs[1:], strict=True)  # the first round warms up
    ratio = median(ours / theirs for theirs, ours in pairs[1:])
    return Result(batch_rows, job_rows, median(bare_speeds), median(speeds), ratio)


def _table(results: Sequence[Result]) -> Table:
    table = Table(
        "rows a job", "rows a batch", "bare loop, rows/s", "batcher, rows/s", "ratio", title="NCF, one thread"
    )
    for column in table.columns:
        column.justify = "right"
    for result in results:
        table.add_row(
            f"{result.job_rows:,}",
            f"{result.batch_rows:,}",
            f"{result.bare_rows_per_s:,.0f}",
            f"{result.batcher_rows_per_s:,.0f}",
            f"{result.ratio:.2f}",
        )
    return table


if __name__ == "__main__":
    main()
