"""How many events a second are acknowledged, and how long an acknowledgement takes, on loopback.

The server is `audotics serve` in a process of its own, on an SQLite file or a PostgreSQL database. First, callers of
`RecordFeedback` send batches of 100 as fast as they are answered. Then events arrive one by one at a fixed rate over
four `StreamFeedback` calls, whatever the server does, and the time from when each was due to its acknowledgement is
measured. In the end the events in the database are counted. The targets are 5,000 events a second on SQLite and 10,000
on PostgreSQL, and 50 ms for 99 of 100 at 1,000 a second.

The disk decides: how long a sync of 4 KiB takes on it is measured in the same run and printed beside the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text
from support.serving import postgres, served
from support.serving_repository import write_repository

from audotics.v1.feedback_service_pb2 import (
    EVENT_TYPE_PLAY,
    FEEDBACK_STATUS_ACCEPTED,
    FeedbackEvent,
    RecordFeedbackRequest,
    RecordFeedbackResponse,
    StreamFeedbackResponse,
)

BATCH_EVENTS: Final = 100
RATE_PER_S: Final = 1000
STREAMS: Final = 4
_LISTENERS: Final = 5000
_PREPARED: Final = 50
_SYNCS: Final = 200

Send = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Load:
    """What was sent and how it was answered. Times are in milliseconds."""

    events_per_s: float
    ack_p50_ms: float
    ack_p99_ms: float
    ack_max_ms: float
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What one database reached."""

    database: str
    load: Load
    sync_ms: float
    stored: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", action="append", help="URL; default: an SQLite file and a PostgreSQL server")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of the two measurements")
    parser.add_argument("--callers", type=int, default=8, help="that send batches at once")
    parser.add_argument("--json", type=Path, help="write the numbers to this file, too")
    arguments = parser.parse_args()
    console = Console(width=120)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fb", ignore_cleanup_errors=True)))
        with console.status("Writing a repository"):
            histories = write_repository(folder / "repository", n_tracks=2000, n_users=100)
        tracks = sorted({track for heard in histories.values() for track in heard})
        urls = arguments.database or [f"sqlite:///{folder}/state.db", stack.enter_context(postgres(folder)).url]
        measured = []
        for url in urls:
            name = "PostgreSQL" if url.startswith("postgresql") else "SQLite"
            with console.status(f"Sending events to {name}"), served(folder / "repository", database_url=url) as server:
                load = asyncio.run(
                    _measure(server.address, tracks, seconds=arguments.seconds, callers=arguments.callers)
                )
            measured.append(Measured(name, load, _sync_ms(folder), _stored(url)))
    console.print(_table(measured))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in measured], indent=2))
    if any(each.stored < each.load.acknowledged for each in measured):
        sys.exit("error: acknowledged events are missing")


async def _measure(address: str, tracks: list[str], *, seconds: float, callers: int) -> Load:
    numbers = count()

    def request(size: int) -> bytes:
        return RecordFeedbackRequest(events=[_event(next(numbers), tracks) for _ in range(size)]).SerializeToString()

    async with grpc.aio.insecure_channel(address) as channel:
        send = channel.unary_unary(
            "/audotics.v1.FeedbackService/RecordFeedback", response_deserializer=RecordFeedbackResponse.FromString
        )
        await send(request(1))
        per_s, sent = await _throughput(send, request, seconds=seconds, callers=callers)
        stream = channel.stream_stream(
            "/audotics.v1.FeedbackService/StreamFeedback", response_deserializer=StreamFeedbackResponse.FromString
        )
        delays = await _delays(stream, request, seconds=seconds)
    p50, p99 = (np.percentile(delays, [50, 99]) * 1000).tolist()
    return Load(per_s, p50, p99, max(delays) * 1000, 1 + sent + len(delays))


def _event(number: int, tracks: list[str]) -> FeedbackEvent:
    return FeedbackEvent(
        event_id=f"event-{number:012d}",
        user_id=f"user-{number % _LISTENERS}",
        track_id=tracks[number % len(tracks)],
        type=EVENT_TYPE_PLAY,
        recommendation_id="list-of-the-benchmark",
    )


async def _throughput(
    send: Send, request: Callable[[int], bytes], *, seconds: float, callers: int
) -> tuple[float, int]:
    """Events a second, and how many, from callers that each wait for an answer before they send the next batch."""
    prepared = [request(BATCH_EVENTS) for _ in range(_PREPARED * callers)]
    acknowledged = 0
    started = time.perf_counter()

    async def call() -> None:
        nonlocal acknowledged
        while time.perf_counter() - started < seconds:
            _check(await send(prepared.pop() if prepared else request(BATCH_EVENTS)))
            acknowledged += BATCH_EVENTS

    await asyncio.gather(*[call() for _ in range(callers)])
    return acknowledged / (time.perf_counter() - started), acknowledged


async def _delays(stream: Send, request: Callable[[int], bytes], *, seconds: float) -> list[float]:
    """Seconds from when each event was due to its acknowledgement, at RATE_PER_S over STREAMS streams."""
    calls = [[request(1) for _ in range(int(seconds * RATE_PER_S / STREAMS))] for _ in range(STREAMS)]
    begins = time.perf_counter() + 0.1

    async def call(first: int, messages: list[bytes]) -> list[float]:
        due = [begins + (first + STREAMS * number) / RATE_PER_S for number in range(len(messages))]

        async def paced() -> AsyncIterator[bytes]:
            for moment, message in zip(due, messages, strict=True):
                if (early := moment - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                yield message

        delays: list[float] = []
        async for answer in stream(paced()):
            _check(answer)
            delays.append(time.perf_counter() - due[len(delays)])
        return delays

    return [delay for delays in await asyncio.gather(*map(call, range(STREAMS), calls)) for delay in delays]


def _check(answer: RecordFeedbackResponse | StreamFeedbackResponse) -> None:
    wrong = [result for result in answer.results if result.status != FEEDBACK_STATUS_ACCEPTED]
    if wrong:
        raise RuntimeError(f"not accepted: {wrong[0]}")


def _sync_ms(folder: Path) -> float:
    """The median time to write and sync 4 KiB on the disk that holds `folder`."""
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000


def _stored(url: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        stored: int = connection.scalar(text("SELECT count(DISTINCT event_id) FROM events")) or 0
    engine.dispose()
    return stored


def _table(measured: list[Measured]) -> Table:
    title = f"Batches of {BATCH_EVENTS}, then {STREAMS} streams with {RATE_PER_S:,} events/s; acknowledged once on disk"
    table = Table(title=title)
    for column in ("", "events/s", "ack p50 ms", "ack p99 ms", "ack max ms", "sync ms", "acknowledged", "stored"):
        table.add_column(column, justify="right" if column else "left")
    for each in measured:
        load = each.load
        table.add_row(
            each.database,
            f"{load.events_per_s:,.0f}",
            *(f"{value:.1f}" for value in (load.ack_p50_ms, load.ack_p99_ms, load.ack_max_ms, each.sync_ms)),
            f"{load.acknowledged:,}",
            f"{each.stored:,}",
        )
    return table


if __name__ == "__main__":
    main()
