"""What counting costs a request: the time of each addition that a `Recommend` makes, beside the `Recommend` itself.

The additions are timed by themselves, since beside a request of milliseconds they are lost in its noise; the requests
are those of one caller over loopback to `audotics serve`, and so are the looks at `/metrics`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from support.serving_repository import write_repository

from audotics.client import RecommenderClient
from audotics.server.retrieval.counters import RetrievalCounters
from audotics.server.runtime.counted import CountedModel, RunCounts
from audotics.server.telemetry.requests import RequestCounts

_ADDITIONS: Final = 20_000
_ROUNDS: Final = 15
_METHOD: Final = "/audotics.v1.RecommenderService/Recommend"


@dataclass(frozen=True, slots=True)
class Result:
    """Microseconds: of each addition, of those of one `Recommend`, of that itself, and of one look at the metrics."""

    request_us: float
    model_run_us: float
    search_us: float
    remembered_us: float
    """What a list that is remembered adds: it runs no model."""
    made_us: float
    """What a list that is made anew adds, with its three runs of models and two searches."""
    recommend_remembered_us: float
    recommend_made_us: float
    scrape_us: float


class Nothing:
    """A model that does nothing, so that all that is left is the counting."""

    inputs = outputs = ()
    axes: Mapping[str, tuple[int | str, ...]] = {}
    platform = ""
    device = "cpu"
    waits = False

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=20_000, help="tracks of the catalogue")
    parser.add_argument("--calls", type=int, default=500, help="requests of each kind")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    result = measure(tracks=arguments.tracks, calls=arguments.calls)
    if arguments.json:
        Console().print_json(json.dumps(asdict(result)))
        return
    table = Table("what", "µs", "of the request")
    table.add_row("count a request", f"{result.request_us:.2f}", "")
    table.add_row("count a run of a model", f"{result.model_run_us:.2f}", "")
    table.add_row("count a search", f"{result.search_us:.2f}", "")
    for name, added, whole in (
        ("a remembered list", result.remembered_us, result.recommend_remembered_us),
        ("a list made anew", result.made_us, result.recommend_made_us),
    ):
        table.add_row(f"Recommend, {name}, p50", f"{whole:.0f}", "")
        table.add_row("  counting in it", f"{added:.2f}", f"{added / whole:.2%}")
    table.add_row("a look at /metrics", f"{result.scrape_us:.0f}", "")
    Console().print(table)


def measure(*, tracks: int, calls: int) -> Result:
    requests, counters = RequestCounts(), RetrievalCounters()
    bare = Nothing()
    counted = CountedModel(bare, RunCounts())
    request_us = _each_us(lambda: requests.ended(_METHOD, "OK", 0.003))
    model_run_us = _each_us(lambda: counted.run({}, ())) - _each_us(lambda: bare.run({}, ()))
    search_us = _each_us(lambda: counters.add("searches", 1))
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        histories = write_repository(repository, n_tracks=tracks, n_users=50)
        with _serving(repository) as (address, http), RecommenderClient(address) as client:
            users = itertools.cycle(histories)
            remembered = [_once_us(lambda: client.recommend(next(users), limit=20)) for _ in range(calls + 100)][100:]
            sessions = _sessions(histories)
            made = [_once_us(lambda: client.recommend(session_tracks=next(sessions), limit=20)) for _ in range(calls)]
            scrapes = [_once_us(lambda: urllib.request.urlopen(f"{http}/metrics").read()) for _ in range(100)]
    return Result(
        request_us=request_us,
        model_run_us=model_run_us,
        search_us=search_us,
        remembered_us=request_us,
        made_us=request_us + 3 * model_run_us + 2 * search_us,
        recommend_remembered_us=median(remembered),
        recommend_made_us=median(made),
        scrape_us=median(scrapes),
    )


def _each_us(addition: Callable[[], object]) -> float:
    """The fastest of some rounds, since all that disturbs one makes it slower."""
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_ADDITIONS):
            addition()
        best = min(best, time.perf_counter() - started)
    return 1e6 * best / _ADDITIONS


def _once_us(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - started)


def _sessions(histories: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Sessions that nobody had before: what was heard, each time without another track."""
    for left_out in itertools.count():
        for heard in histories.values():
            yield [track for place, track in enumerate(heard) if place != left_out % len(heard)]


@contextmanager
def _serving(repository: Path) -> Iterator[tuple[str, str]]:
    """The addresses of a server: of gRPC, and the URL of HTTP."""
    command = [sys.executable, "-m", "audotics.cli.main", "serve", "--port", "0", "--http-port", "0"]
    command += ["--repository", str(repository), "--state-dir", str(repository.parent / "state")]
    command += ["--log-level", "error"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = process.stdout.readline() + process.stdout.readline()
            found = re.search(r" on (127\S+) .*\n.* on (http://\S+)", lines)
            assert found, lines
            yield found[1], found[2]
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
