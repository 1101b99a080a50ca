"""`audotics serve` as a process of its own: how it starts, how it ends, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from audotics.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    feedback_service_pb2,
    feedback_service_pb2_grpc,
)

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
MEMORY_LIMIT_KB = 250 * 1024
FORBIDDEN = (
    "torch",
    "tensorflow",
    "keras",
    "sklearn",
    "pandas",
    "audotics.models",
    "audotics.training",
    "audotics.data",
)


@dataclass(frozen=True)
class Served:
    """A server process that has said it is ready."""

    process: subprocess.Popen[str]
    address: str
    banner: str
    database: Path
    log: Path

    def record(self, channel: grpc.Channel, event_id: str) -> Any:
        """Send one event; gives a future of the answer."""
        event = feedback_service_pb2.FeedbackEvent(
            event_id=event_id, user_id="u", track_id="t001", type=feedback_service_pb2.EVENT_TYPE_PLAY
        )
        stub = feedback_service_pb2_grpc.FeedbackServiceStub(channel)
        return stub.RecordFeedback.future(feedback_service_pb2.RecordFeedbackRequest(events=[event]))


def affinity(process_id: int) -> set[int]:
    """The processors that the first thread of a process may use; none where the system does not say."""
    return os.sched_getaffinity(process_id) if hasattr(os, "sched_getaffinity") else set()


def command(repository: Path, folder: Path, *, port: int = 0) -> list[str]:
    state = folder / "state"
    return [
        *(sys.executable, "-m", "audotics.cli.main", "serve", "--repository", str(repository)),
        *("--port", str(port), "--state-dir", str(state), "--threads", "2"),
    ]


@contextmanager
def serving(repository: Path, folder: Path) -> Iterator[Served]:
    log = folder / "server.log"
    with (
        log.open("a") as stderr,
        subprocess.Popen(
            command(repository, folder), stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=folder
        ) as process,
    ):
        try:
            assert process.stdout is not None
            banner = process.stdout.readline()
            found = re.search(r" on (127\.0\.0\.1:\d+) ", banner)
            assert found, log.read_text()
            yield Served(process, found[1], banner, folder / "state" / "state.db", log)
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def call_under_way(served: Served) -> Iterator[tuple[Any, Any, sqlite3.Connection]]:
    """A call that the server has taken and cannot finish until the yielded connection lets the database go."""
    with (
        closing(sqlite3.connect(served.database, isolation_level=None)) as other,
        grpc.insecure_channel(served.address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        next(watch)
        other.execute("BEGIN IMMEDIATE")
        answer = served.record(channel, "e1")
        # Calls of one connection arrive in order: once this later one is answered, the event has arrived.
        stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        stub.GetTracks(catalog_service_pb2.GetTracksRequest(track_ids=["t001"]))
        yield answer, watch, other


def test_stays_small_and_without_the_training_frameworks(make_repository: Callable[..., Any], tmp_path: Path) -> None:
    files = make_repository(tmp_path / "repository", n_tracks=5000, n_users=500)
    script = f"""
import asyncio, sys, grpc
from pathlib import Path
from audotics.cli import serve
from audotics.server.app import open_app
from audotics.server.settings import load_settings
from audotics.v1 import recommender_service_pb2 as pb, recommender_service_pb2_grpc as pb_grpc

async def main():
    settings = load_settings(repository={str(files.path)!r}, port=0, state_dir={str(tmp_path / "state")!r})
    async with open_app(settings) as app, grpc.aio.insecure_channel(app.address) as channel:
        stub = pb_grpc.RecommenderServiceStub(channel)
        for number in range(100):
            subject = pb.Subject(user_id=f"u{{number:02d}}")
            assert len((await stub.Recommend(pb.RecommendRequest(subject=subject, limit=5))).tracks) == 5

asyncio.run(main())
print([name for name in {FORBIDDEN!r} if name in sys.modules])
print(Path("/proc/self/status").read_text() if Path("/proc/self/status").exists() else "")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    imported, _, status = done.stdout.partition("\n")
    assert imported == "[]"
    if not status.strip():
        pytest.skip("memory is read from /proc, which this system has not")
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    assert int(most) < MEMORY_LIMIT_KB


def test_the_first_signal_lets_calls_under_way_finish(repository: Any, tmp_path: Path) -> None:
    with serving(repository.path, tmp_path) as served:
        assert re.fullmatch(
            r"Serving 200 tracks with collaborative/1, content/1, hybrid/1, ncf/1 on 127\.0\.0\.1:\d+ "
            r"\(ready in \d+\.\d s\)\n",
            served.banner,
        )
        with call_under_way(served) as (answer, watch, other):
            served.process.send_signal(signal.SIGTERM)
            assert next(watch).status == NOT_SERVING
            other.execute("ROLLBACK")
            assert answer.result().results[0].status == feedback_service_pb2.FEEDBACK_STATUS_ACCEPTED
        assert served.process.wait() == 0
    assert "draining" in served.log.read_text()


@pytest.mark.skipif(len(affinity(0)) < 2, reason="the system gives this process one processor, or has no affinity")
def test_the_threads_of_calls_share_a_processor_unless_that_is_the_systems_to_choose(
    repository: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(repository.path, tmp_path) as served:
        deadline = time.monotonic() + 60
        while len(affinity(served.process.pid)) != 1:
            assert time.monotonic() < deadline, "the thread of the event loop runs anywhere"
            time.sleep(0.01)
    monkeypatch.setenv("AUDOTICS_CALL_PLACEMENT", "system")
    with serving(repository.path, tmp_path) as served:
        time.sleep(1.5)  # in which the threads would have come together
        assert affinity(served.process.pid) == affinity(0)


def test_it_says_where_it_listens_for_http_and_ends_that_too(repository: Any, tmp_path: Path) -> None:
    arguments = [*command(repository.path, tmp_path), "--http-port", "0"]
    with (
        (tmp_path / "server.log").open("w") as log,
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, text=True, cwd=tmp_path) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        found = re.fullmatch(r"Metrics and health on (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
        assert found
        with urllib.request.urlopen(f"{found[1]}/health/ready", timeout=30) as answer:
            assert answer.read() == b'{"status":"ready"}'
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert "Traceback" not in (tmp_path / "server.log").read_text()


def test_the_second_signal_ends_it_at_once(repository: Any, tmp_path: Path) -> None:
    with serving(repository.path, tmp_path) as served, call_under_way(served) as (answer, watch, _):
        served.process.send_signal(signal.SIGINT)
        assert next(watch).status == NOT_SERVING
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait() == -signal.SIGTERM
        assert answer.exception().code() is grpc.StatusCode.UNAVAILABLE


def test_what_was_acknowledged_survives_a_kill(repository: Any, tmp_path: Path) -> None:
    with serving(repository.path, tmp_path) as served, grpc.insecure_channel(served.address) as channel:
        first = served.record(channel, "e1").result()
        served.process.kill()
        assert served.process.wait() == -signal.SIGKILL
    with serving(repository.path, tmp_path) as served, grpc.insecure_channel(served.address) as channel:
        again = served.record(channel, "e1").result()
    assert first.results[0].status == feedback_service_pb2.FEEDBACK_STATUS_ACCEPTED
    assert again.results[0].status == feedback_service_pb2.FEEDBACK_STATUS_DUPLICATE


def test_a_port_in_use_is_one_line(repository: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command(repository.path, tmp_path, port=port), capture_output=True, text=True, check=False, cwd=tmp_path
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: 127.0.0.1:{port} is in use; stop the program that listens there, or choose another --port"
    ]
