"""Whether memory stays flat: cycles of loading and unloading every model, and requests, in one process.

A cycle loads a version of the hybrid and the parts that it was trained with, puts them in service, makes a list with
them, and unloads the ones before. Requests are new sessions and known listeners in turns. Resident memory in the last
tenth is compared with that in the second tenth, when caches and allocators have their size. The target is 2 % of
growth.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from audotics.bundle.store import BundleStore
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.preparing import VERSIONS_AT_ONCE
from audotics.server.repository.registry import Registry
from audotics.server.runtime.memory import arrange_memory
from audotics.server.services.tracks import served_rows
from audotics.server.types import Listener, RecommendQuery, Subject

LIMIT: Final = 20
_PARTS: Final = ("collaborative", "content", "ncf")
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Result:
    """Resident memory in MiB in the second and in the last tenth."""

    what: str
    count: int
    before_mib: float
    after_mib: float
    growth: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=20_000)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--requests", type=int, default=100_000, help="the product's promise is for 1,000,000")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        # In a process of its own, since the frameworks that write models would dwarf what is measured.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            histories = pool.apply(_write, (repository, arguments.tracks))
        arrange_memory()  # as a server does
        results = asyncio.run(_measure(repository, histories, cycles=arguments.cycles, requests=arguments.requests))
    if arguments.json:
        console.print_json(json.dumps([asdict(result) for result in results]))
    else:
        console.print(_table(results))


def _write(repository: Path, n_tracks: int) -> dict[str, list[str]]:
    """Write a repository in which each model has two versions; return listeners' histories."""
    from support.serving_repository import write_repository

    histories = write_repository(repository, n_tracks=n_tracks, n_users=200)
    for name in (*_PARTS, "hybrid"):
        shutil.copytree(repository / name / "1", repository / name / "2")
        for version in (1, 2):
            path = repository / name / str(version) / "bundle.json"
            manifest = json.loads(path.read_text())
            manifest["version"] = version
            if name == "hybrid":
                manifest["parts"] = dict.fromkeys(_PARTS, version)
            path.write_text(json.dumps(manifest))
    return histories


async def _measure(repository: Path, histories: dict[str, list[str]], *, cycles: int, requests: int) -> list[Result]:
    with (
        ThreadPoolExecutor(2) as serving,
        ThreadPoolExecutor(1) as loading,
        ThreadPoolExecutor(VERSIONS_AT_ONCE) as preparing,
    ):
        async with (
            Registry(BundleStore(repository), executor=loading, preparing=preparing) as registry,
            Recommender(executor=serving) as recommender,
        ):
            await registry.start()
            sessions = list(histories.items())

            async def recommend(number: int) -> None:
                user_id, heard = sessions[number // 2 % len(sessions)]
                snapshot = registry.snapshot
                rows = served_rows(snapshot.catalog, heard)
                session = Subject("session", track_ids=tuple(heard))
                query = RecommendQuery(Subject("user", user_id=user_id) if number % 2 else session, limit=LIMIT)
                answer = await recommender.recommend(snapshot, Listener(history=rows, seen=rows), query)
                assert len(answer.tracks) == LIMIT

            async def swap(number: int) -> None:
                fresh = 1 + (number + 1) % 2
                await registry.load_version("hybrid", fresh)
                await recommend(number)
                for name in ("hybrid", *_PARTS):
                    await registry.unload_version(name, 3 - fresh)

            for version in (2, 1):  # lists are remembered, for each version anew: that is none of the cycles' memory
                await registry.load_version("hybrid", version)
                for number in range(2 * len(sessions)):
                    await recommend(number)
            for name in ("hybrid", *_PARTS):
                await registry.unload_version(name, 2)
            swaps = [_resident_mib()]
            for number in track(range(cycles), "Swapping", transient=True):
                await swap(number)
                swaps.append(_resident_mib())
            answers = [_resident_mib()]
            for numbers in track(list(_chunks(requests, 100 * _AT_ONCE)), "Answering", transient=True):
                for start in range(0, len(numbers), _AT_ONCE):
                    await asyncio.gather(*(recommend(number) for number in numbers[start : start + _AT_ONCE]))
                answers.append(_resident_mib())
    return [_result("load/unload cycles", cycles, swaps), _result("requests", requests, answers)]


def _chunks(total: int, size: int) -> Iterator[range]:
    for start in range(0, total, size):
        yield range(start, min(start + size, total))


def _resident_mib() -> float:
    """What is in use: freed memory that glibc keeps for later is given back first."""
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def _result(what: str, count: int, resident_mib: list[float]) -> Result:
    """Medians, since allocators give memory back and take it again as they like."""
    tenth = len(resident_mib) // 10 + 1
    before, after = median(resident_mib[tenth : 2 * tenth + 1]), median(resident_mib[-tenth:])
    return Result(what, count, before, after, after / before - 1)


def _table(results: list[Result]) -> Table:
    table = Table("", "count", "second tenth, MiB", "last tenth, MiB", "growth", title="Resident memory")
    for column in table.columns[1:]:
        column.justify = "right"
    for result in results:
        table.add_row(
            result.what,
            f"{result.count:,}",
            f"{result.before_mib:.1f}",
            f"{result.after_mib:.1f}",
            f"{100 * result.growth:+.1f} %",
        )
    return table


if __name__ == "__main__":
    main()
