"""How much longer `Recommend` takes than an empty RPC: 20 of 100,000 tracks, one caller, loopback.

The server is `audotics serve` in a process of its own. Its peer is a bare grpc.aio server, in a process of its own too,
that answers with the same bytes. They are called in turns over one sync channel each, so that what else the machine
does falls on all. A known listener has been served before and nothing has happened since, so the server remembers the
scores; after an event, and for a new session, everything is searched for and scored anew. The target is 3 times the
empty RPC for the known listener.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table
from support.serving_repository import write_repository

from audotics.v1.feedback_service_pb2 import EVENT_TYPE_PLAY, FeedbackEvent, RecordFeedbackRequest
from audotics.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from audotics.v1.recommender_service_pb2 import AnonymousSession, RecommendRequest, RecommendResponse, Subject
from audotics.v1.recommender_service_pb2_grpc import RecommenderServiceStub

LIMIT: Final = 20
_PEER_METHOD: Final = "/audotics.benchmark.Peer/Answer"
_ROUND: Final = 50
_READY_S: Final = 60.0

Call = Callable[[RecommendRequest], RecommendResponse]


@dataclass(frozen=True, slots=True)
class Kind:
    """Calls to measure: `requests` in turns, each after `before`, which is not timed."""

    call: Call
    requests: list[RecommendRequest]
    before: Callable[[RecommendRequest], object] = lambda request: None


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
            histories = write_repository(repository, n_tracks=arguments.tracks, n_users=arguments.users)
        users = [RecommendRequest(subject=Subject(user_id=user_id), limit=LIMIT) for user_id in histories]
        sessions = list(itertools.islice(_sessions(histories), arguments.users + arguments.calls + _ROUND))
        settled, active = users[::2], users[1::2]
        with console.status("Calling"), _server(repository) as channel:
            recommend = RecommenderServiceStub(channel).Recommend
            answer = recommend(users[0])
            assert len(answer.tracks) == LIMIT, answer
            assert not answer.degraded, answer
            with _peer(answer.SerializeToString()) as empty:
                seconds = _measure(
                    {
                        f"empty RPC, {answer.ByteSize():,} bytes back": Kind(empty, users),
                        "Recommend, known listener": Kind(recommend, settled),
                        "Recommend, after an event": Kind(recommend, active, before=_listening(channel, histories)),
                        "Recommend, new session": Kind(recommend, sessions),
                    },
                    calls=arguments.calls,
                    warm_up=arguments.users,
                )
    console.print(_table(seconds))


def _measure(kinds: dict[str, Kind], *, calls: int, warm_up: int) -> dict[str, list[float]]:
    """Seconds of each call of each kind, in turns of fifty, after `warm_up` calls of each."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for start in range(0, warm_up + calls, _ROUND):
        for name, kind in kinds.items():
            for number in range(start, start + _ROUND):
                request = kind.requests[number % len(kind.requests)]
                kind.before(request)
                seconds[name].append(_seconds(kind.call, request))
    return {name: values[warm_up:] for name, values in seconds.items()}


def _sessions(histories: dict[str, list[str]]) -> Iterator[RecommendRequest]:
    """Sessions that nobody had before: what was heard, each time without another track."""
    for left_out in itertools.count():
        for heard in histories.values():
            tracks = [track for place, track in enumerate(heard) if place != left_out % len(heard)]
            yield RecommendRequest(subject=Subject(session=AnonymousSession(track_ids=tracks)), limit=LIMIT)


def _listening(channel: grpc.Channel, histories: dict[str, list[str]]) -> Callable[[RecommendRequest], object]:
    """Let a request's listener play a track that another one has heard."""
    stub, tracks = FeedbackServiceStub(channel), itertools.cycle(itertools.chain.from_iterable(histories.values()))

    def play(request: RecommendRequest) -> object:
        event = FeedbackEvent(
            event_id=uuid.uuid4().hex, user_id=request.subject.user_id, track_id=next(tracks), type=EVENT_TYPE_PLAY
        )
        return stub.RecordFeedback(RecordFeedbackRequest(events=[event]))

    return play


def _seconds(call: Call, request: RecommendRequest) -> float:
    started = time.perf_counter()
    call(request)
    return time.perf_counter() - started


@contextmanager
def _server(repository: Path) -> Iterator[grpc.Channel]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "audotics.cli.main", "serve", "--port", str(port), "--log-level", "warning"]
    command += ["--http-port", "-1"]
    command += ["--repository", str(repository), "--state-dir", str(repository.parent / "state")]
    with (repository.parent / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=_READY_S)
            yield channel
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _peer(answer: bytes) -> Iterator[Call]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_peer, args=(answer, theirs), daemon=True)
    process.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{ours.recv()}") as channel:
            yield channel.unary_unary(
                _PEER_METHOD,
                request_serializer=RecommendRequest.SerializeToString,
                response_deserializer=RecommendResponse.FromString,
            )
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


def _table(seconds: dict[str, list[float]]) -> Table:
    """Milliseconds, and how many times the first kind's median each median is."""
    calls, base = len(next(iter(seconds.values()))), np.median(next(iter(seconds.values())))
    table = Table(title=f"{LIMIT} tracks a list; {calls:,} calls of each kind, one caller, loopback; milliseconds")
    for column in ("", "p50", "p90", "p99", "p50 / empty"):
        table.add_column(column, justify="right" if column else "left")
    for name, values in seconds.items():
        numbers = [f"{value * 1000:.2f}" for value in np.percentile(values, [50, 90, 99])]
        table.add_row(name, *numbers, f"{np.median(values) / base:.2f}")
    return table


if __name__ == "__main__":
    main()
