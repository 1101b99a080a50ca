"""How much longer `Recommend` takes than an empty RPC: 20 of 100,000 tracks, one caller, loopback.

The server is `audotics serve` in a process of its own. Its peer is a bare grpc.aio server, in a process of its own too,
that answers with the same bytes. Both are called in turns over one sync channel each, so that what else the machine
does falls on both.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TypeVar

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table
from support.serving_repository import write_repository

from audotics.v1.recommender_service_pb2 import RecommendRequest, Subject
from audotics.v1.recommender_service_pb2_grpc import RecommenderServiceStub

LIMIT: Final = 20
TARGET_RATIO: Final = 3.0
_PEER_METHOD: Final = "/audotics.benchmark.Peer/Answer"
_ROUND: Final = 50
_READY_S: Final = 60.0

RequestT = TypeVar("RequestT")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=200, help="listeners that take turns")
    parser.add_argument("--calls", type=int, default=2_000, help="of each kind, after the warm-up")
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        with console.status(f"Writing a repository of {arguments.tracks:,} tracks"):
            user_ids = write_repository(repository, n_tracks=arguments.tracks, n_users=arguments.users)
        requests = [RecommendRequest(subject=Subject(user_id=user_id), limit=LIMIT) for user_id in user_ids]
        with console.status("Calling"), _server(repository) as stub:
            answer = stub.Recommend(requests[0])
            assert len(answer.tracks) == LIMIT, answer
            assert not answer.degraded, answer
            with _peer(answer.SerializeToString()) as call_peer:
                recommend, peer = _measure(stub.Recommend, call_peer, requests, calls=arguments.calls)
    console.print(_table(recommend, peer, n_bytes=answer.ByteSize()))
    ratio = float(np.median(recommend) / np.median(peer))
    verdict = "met" if ratio < TARGET_RATIO else "missed"
    console.print(f"p50 is {ratio:.2f} times that of the empty RPC; the target, below {TARGET_RATIO:g}, is {verdict}")


def _measure(
    recommend: Callable[[RecommendRequest], object],
    peer: Callable[[bytes], object],
    requests: list[RecommendRequest],
    *,
    calls: int,
) -> tuple[list[float], list[float]]:
    """Seconds of each call of the two, in turns of fifty, once every listener has been served."""
    warm_up = -(-len(requests) // _ROUND) * _ROUND
    recommend_s: list[float] = []
    peer_s: list[float] = []
    for start in range(0, warm_up + calls, _ROUND):
        turn = range(start, start + _ROUND)
        recommend_s += [_seconds(recommend, requests[number % len(requests)]) for number in turn]
        peer_s += [_seconds(peer, b"") for _ in turn]
    return recommend_s[warm_up:], peer_s[warm_up:]


def _seconds(call: Callable[[RequestT], object], request: RequestT) -> float:
    started = time.perf_counter()
    call(request)
    return time.perf_counter() - started


@contextmanager
def _server(repository: Path) -> Iterator[RecommenderServiceStub]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "audotics.cli.main", "serve", "--port", str(port), "--log-level", "warning"]
    command += ["--repository", str(repository), "--state-dir", str(repository.parent / "state")]
    with (repository.parent / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=_READY_S)
            yield RecommenderServiceStub(channel)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _peer(answer: bytes) -> Iterator[Callable[[bytes], object]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_peer, args=(answer, theirs), daemon=True)
    process.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{ours.recv()}") as channel:
            yield channel.unary_unary(_PEER_METHOD)
    finally:
        process.terminate()
        process.join()


def _run_peer(answer: bytes, connection: Connection) -> None:
    async def reply(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return answer

    async def serve() -> None:
        server = grpc.aio.server()
        service, method = _PEER_METHOD.strip("/").split("/")
        handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(reply)})
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        connection.send(port)
        await server.wait_for_termination()

    asyncio.run(serve())


def _table(recommend: list[float], peer: list[float], *, n_bytes: int) -> Table:
    table = Table(title=f"{len(recommend):,} calls each, one caller, loopback; milliseconds")
    for column in ("", "p50", "p90", "p99"):
        table.add_column(column, justify="right" if column else "left")
    for name, seconds in ((f"Recommend, {LIMIT} tracks", recommend), (f"empty RPC, {n_bytes:,} bytes back", peer)):
        table.add_row(name, *(f"{value * 1000:.2f}" for value in np.percentile(seconds, [50, 90, 99])))
    return table


if __name__ == "__main__":
    main()
