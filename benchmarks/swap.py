"""What callers notice of a new model version: lists during swaps and rollbacks, beside those before, eight callers.

The server is `audotics serve` in a process of its own, the callers are threads of another. Every request is a new
session, so that each is searched and scored, before a swap as after it. Each swap is to a whole new export: the hybrid
and the parts that it was trained with are read, verified, warmed up and put in service in one step. The targets are no
failed request, a 99th percentile during swaps of up to 1.5 times that before, and rollbacks of up to 100 ms.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table
from support.serving_repository import write_repository

from audotics.v1.model_service_pb2 import LoadVersionRequest, RollbackRequest
from audotics.v1.model_service_pb2_grpc import ModelServiceStub
from audotics.v1.recommender_service_pb2 import AnonymousSession, RecommendRequest, Subject
from audotics.v1.recommender_service_pb2_grpc import RecommenderServiceStub

LIMIT: Final = 20
CALLERS: Final = 8
_PARTS: Final = ("collaborative", "content", "ncf")
_AFTER_S: Final = 0.5
"""What still counts as during a swap: the first requests on the new version."""

_READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds, of requests unless said otherwise."""

    requests: int
    failed: int
    before_p50_ms: float
    before_p99_ms: float
    swap_p50_ms: float
    swap_p99_ms: float
    p99_ratio: float
    slowest_load_ms: float
    slowest_rollback_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=400, help="listeners whose histories are the sessions")
    parser.add_argument("--swaps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of calls before each swap")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        with console.status(f"Writing a repository of {arguments.tracks:,} tracks"):
            histories = write_repository(repository, n_tracks=arguments.tracks, n_users=arguments.users)
            for version in range(1, arguments.swaps + 2):
                _publish(repository, version)
        with console.status("Calling"), _server(repository) as target, _callers(target, histories) as callers:
            result = _measure(target, callers, swaps=arguments.swaps, seconds=arguments.seconds)
    if arguments.json:
        console.print_json(json.dumps(asdict(result)))
    else:
        console.print(_table(result))


def _publish(repository: Path, version: int) -> None:
    """Write a version, a copy of the first, whose hybrid was trained with its parts."""
    for name in (*_PARTS, "hybrid"):
        folder = repository / name / str(version)
        if version > 1:
            shutil.copytree(repository / name / "1", folder)
        path = folder / "bundle.json"
        manifest = json.loads(path.read_text())
        manifest["version"] = version
        if name == "hybrid":
            manifest["parts"] = dict.fromkeys(_PARTS, version)
        path.write_text(json.dumps(manifest))


def _measure(target: str, callers: Connection, *, swaps: int, seconds: float) -> Result:
    windows: list[tuple[float, float]] = []
    loads, rollbacks = [], []
    with grpc.insecure_channel(target) as channel:
        models = ModelServiceStub(channel)
        models.LoadVersion(LoadVersionRequest(name="hybrid", version=1))
        time.sleep(seconds)
        callers.send("warm")
        for version in range(2, swaps + 2):
            time.sleep(seconds)
            started = time.monotonic()
            models.LoadVersion(LoadVersionRequest(name="hybrid", version=version))
            loads.append(time.monotonic() - started)
            windows.append((started, time.monotonic() + _AFTER_S))
        time.sleep(1.0)
        started = time.monotonic()
        models.Rollback(RollbackRequest(name="hybrid"))
        rollbacks.append(time.monotonic() - started)
        windows.append((started, time.monotonic() + _AFTER_S))
        time.sleep(1.0)
    callers.send("stop")
    calls, failed = callers.recv()
    started_at, took = calls[:, 0], 1000 * calls[:, 1]
    during = np.zeros(len(calls), np.bool_)
    for start, end in windows:
        during |= (started_at < end) & (started_at + calls[:, 1] > start)
    before, swap = np.percentile(took[~during], [50, 99]), np.percentile(took[during], [50, 99])
    return Result(
        requests=len(calls),
        failed=failed,
        before_p50_ms=float(before[0]),
        before_p99_ms=float(before[1]),
        swap_p50_ms=float(swap[0]),
        swap_p99_ms=float(swap[1]),
        p99_ratio=float(swap[1] / before[1]),
        slowest_load_ms=1000 * max(loads),
        slowest_rollback_ms=1000 * max(rollbacks),
    )


@contextmanager
def _server(repository: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        sys.executable,
        "-m",
        "audotics.cli.main",
        "serve",
        "--port",
        target.rpartition(":")[2],
        "--http-port",
        "-1",
    ]
    command += ["--repository", str(repository), "--state-dir", str(repository.parent / "state")]
    environment = {"AUDOTICS_LOG_LEVEL": "warning", "AUDOTICS_REPOSITORY_POLL_S": "0"}
    with (repository.parent / "server.log").open("wb") as log:
        process = subprocess.Popen(["env", *map("=".join, environment.items()), *command], stdout=log, stderr=log)
    try:
        with grpc.insecure_channel(target) as channel:
            grpc.channel_ready_future(channel).result(timeout=_READY_S)
        yield target
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _callers(target: str, histories: dict[str, list[str]]) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_call, args=(target, list(histories.values()), theirs), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()


def _call(target: str, sessions: list[list[str]], connection: Connection) -> None:
    """Call until told to stop; "warm" forgets what was measured so far."""
    requests = [
        RecommendRequest(subject=Subject(session=AnonymousSession(track_ids=heard)), limit=LIMIT) for heard in sessions
    ]
    stopped = threading.Event()
    calls: list[list[tuple[float, float]]] = [[] for _ in range(CALLERS)]
    failures: list[str] = []

    def caller(number: int) -> None:
        with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            recommend = RecommenderServiceStub(channel).Recommend
            for turn in range(10**9):
                if stopped.is_set():
                    return
                started = time.monotonic()
                try:
                    answer = recommend(requests[(CALLERS * turn + number) % len(requests)], timeout=30)
                    if len(answer.tracks) < LIMIT or answer.degraded:
                        failures.append(str(answer.degraded))
                except grpc.RpcError as error:
                    failures.append(str(error))
                calls[number].append((started, time.monotonic() - started))

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    while connection.recv() == "warm":
        for made in calls:
            made.clear()
    stopped.set()
    for thread in threads:
        thread.join()
    connection.send((np.asarray([call for made in calls for call in made]), len(failures)))


def _table(result: Result) -> Table:
    table = Table(
        "", "before", "during swaps", "ratio", title=f"Recommend, {CALLERS} callers: {result.requests:,} calls"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    ratio = result.swap_p50_ms / result.before_p50_ms
    table.add_row("p50, ms", f"{result.before_p50_ms:.1f}", f"{result.swap_p50_ms:.1f}", f"{ratio:.2f}")
    table.add_row("p99, ms", f"{result.before_p99_ms:.1f}", f"{result.swap_p99_ms:.1f}", f"{result.p99_ratio:.2f}")
    table.add_row("failed", "", str(result.failed), "")
    table.add_row("slowest load, ms", "", f"{result.slowest_load_ms:.0f}", "")
    table.add_row("slowest rollback, ms", "", f"{result.slowest_rollback_ms:.0f}", "")
    return table


if __name__ == "__main__":
    main()
