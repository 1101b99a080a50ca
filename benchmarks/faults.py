"""Redis and PostgreSQL killed under load and started again: what fails meanwhile, and how soon all is as before.

`audotics serve` keeps its state in PostgreSQL and shares lists through Redis. Callers ask for lists and play the first
track of each, all the time. Each process is killed with SIGKILL as often as asked for, stays away for some seconds and
is started again. Counted are lists and events that fail, and lists that hold a track whose play was acknowledged to the
same caller before, which must be none. A recovery is the time from the process's return until what it is needed for
works again: an event is acknowledged (PostgreSQL), or a listener is deleted from the cache (Redis). The target is 5 s.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table
from support.serving import Postgres, Redis, postgres, redis_server, served
from support.serving_repository import write_repository

from audotics.v1.feedback_service_pb2 import EVENT_TYPE_PLAY, DeleteUserRequest, FeedbackEvent, RecordFeedbackRequest
from audotics.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from audotics.v1.recommender_service_pb2 import RecommendRequest, Subject
from audotics.v1.recommender_service_pb2_grpc import RecommenderServiceStub

RECOVERY_LIMIT_S: Final = 5.0
CALLERS: Final = 6
_CALL_LIMIT_S: Final = 10.0
_LIMIT: Final = 10


@dataclass(slots=True)
class Tally:
    """What became of the calls of one phase."""

    lists: int = 0
    lists_failed: int = 0
    lists_degraded: int = 0
    lists_wrong: int = 0
    events: int = 0
    events_refused: int = 0
    list_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the kills of one process did. `p99_ms` is that of lists, before the first kill and while it was away."""

    killed: str
    kills: int
    tally: Tally
    p99_before_ms: float
    p99_away_ms: float
    recoveries_s: list[float]

    @property
    def holds(self) -> bool:
        """No list failed or was wrong, no event was refused that Redis is not needed for, and all came back in time."""
        events = self.killed == "PostgreSQL" or not self.tally.events_refused
        lists = not self.tally.lists_failed and not self.tally.lists_wrong
        return lists and events and max(self.recoveries_s) <= RECOVERY_LIMIT_S


class Load:
    """Callers that listen to what they are recommended, each for one listener, who starts anew after some tracks."""

    def __init__(self, channel: grpc.aio.Channel, name: str) -> None:
        """`name` keeps its listeners and events apart from those of another load."""
        self._name = name
        self._recommender, self._feedback = RecommenderServiceStub(channel), FeedbackServiceStub(channel)
        self._ended = False
        self._numbers = itertools.count()
        self.tally = Tally()

    def end(self) -> None:
        self._ended = True

    def next_phase(self) -> Tally:
        """The tally so far; what comes goes into a new one."""
        done, self.tally = self.tally, Tally()
        return done

    async def run(self, caller: int) -> None:
        for life in itertools.count():
            heard: set[str] = set()
            user_id = f"{self._name}-{caller}-{life}"
            for _ in range(40):
                if self._ended:
                    return
                track_id = await self._list(user_id, heard)
                if track_id and await self.play(user_id, track_id):
                    heard.add(track_id)
                await asyncio.sleep(0.01)

    async def _list(self, user_id: str, heard: set[str]) -> str:
        started = time.perf_counter()
        request = RecommendRequest(subject=Subject(user_id=user_id), limit=_LIMIT)
        try:
            answer = await self._recommender.Recommend(request, timeout=_CALL_LIMIT_S)
        except grpc.aio.AioRpcError:
            self.tally.lists_failed += 1
            return ""
        self.tally.lists += 1
        self.tally.list_ms.append((time.perf_counter() - started) * 1000)
        missing = any(part.part == "user" and part.detail.startswith("recent events") for part in answer.degraded)
        self.tally.lists_degraded += missing
        self.tally.lists_wrong += not missing and any(track.track_id in heard for track in answer.tracks)
        return str(answer.tracks[0].track_id)

    async def play(self, user_id: str, track_id: str) -> bool:
        event = FeedbackEvent(
            event_id=f"{self._name}-{next(self._numbers)}", user_id=user_id, track_id=track_id, type=EVENT_TYPE_PLAY
        )
        try:
            await self._feedback.RecordFeedback(RecordFeedbackRequest(events=[event]), timeout=_CALL_LIMIT_S)
        except grpc.aio.AioRpcError:
            self.tally.events_refused += 1
            return False
        self.tally.events += 1
        return True

    async def delete(self, user_id: str) -> bool:
        try:
            await self._feedback.DeleteUser(DeleteUserRequest(user_id=user_id), timeout=_CALL_LIMIT_S)
        except grpc.aio.AioRpcError:
            return False
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="of each process")
    parser.add_argument("--down-s", type=float, default=3.0, help="how long a process stays away")
    parser.add_argument("--tracks", type=int, default=2000)
    parser.add_argument("--json", type=Path, help="write the numbers to this file, too")
    arguments = parser.parse_args()
    console, outcomes = Console(width=130), []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fa", ignore_cleanup_errors=True)))
        tracks = write_repository(folder / "repository", n_tracks=arguments.tracks, n_users=50)
        database, cache = stack.enter_context(postgres(folder)), stack.enter_context(redis_server(folder))
        server = stack.enter_context(served(folder / "repository", database_url=database.url, cache_url=cache.url))
        some_track = next(iter(next(iter(tracks.values()))))
        for name, process in (("Redis", cache), ("PostgreSQL", database)):
            with console.status(f"Killing {name}"):
                outcomes.append(asyncio.run(_kill(server.address, name, process, some_track, arguments)))
    console.print(_table(outcomes))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    if not all(outcome.holds for outcome in outcomes):
        sys.exit("error: a promise is broken; see the table")


async def _kill(
    address: str, name: str, process: Redis | Postgres, track_id: str, arguments: argparse.Namespace
) -> Outcome:
    loop = asyncio.get_running_loop()
    async with grpc.aio.insecure_channel(address) as channel:
        load, recoveries, away_ms = Load(channel, name), [], []
        callers = [asyncio.ensure_future(load.run(number)) for number in range(CALLERS)]
        await asyncio.sleep(arguments.down_s)
        before = load.next_phase()
        total = Tally()
        for _ in range(arguments.kills):
            await loop.run_in_executor(None, process.kill)
            await asyncio.sleep(arguments.down_s)
            _add(total, away := load.next_phase())
            away_ms += away.list_ms
            await loop.run_in_executor(None, process.start)
            returned = time.perf_counter()
            works: Callable[[], Any] = (
                (lambda: load.delete("nobody")) if name == "Redis" else (lambda: load.play("somebody", track_id))
            )
            for pause_s in itertools.repeat(0.02):
                if await works():
                    break
                await asyncio.sleep(pause_s)
            recoveries.append(time.perf_counter() - returned)
            await asyncio.sleep(1.0)
            _add(total, load.next_phase())
        load.end()
        await asyncio.gather(*callers)
    total.list_ms.clear()
    return Outcome(name, arguments.kills, total, _p99(before.list_ms), _p99(away_ms), recoveries)


def _add(total: Tally, part: Tally) -> None:
    for counter in ("lists", "lists_failed", "lists_degraded", "lists_wrong", "events", "events_refused"):
        setattr(total, counter, getattr(total, counter) + getattr(part, counter))


def _p99(values_ms: list[float]) -> float:
    return float(np.percentile(values_ms, 99)) if values_ms else float("nan")


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title=f"Killed with SIGKILL under load of {CALLERS} callers; p99 of lists in milliseconds")
    names = ("killed", "times", "lists", "failed", "wrong", "without recent events", "events", "refused")
    for name in (*names, "p99 before", "p99 away", "slowest recovery s"):
        table.add_column(name, justify="left" if name == "killed" else "right")
    for each in outcomes:
        tally = each.tally
        counts = (each.kills, tally.lists, tally.lists_failed, tally.lists_wrong, tally.lists_degraded)
        cells = [f"{value:,}" for value in (*counts, tally.events, tally.events_refused)]
        times = (f"{each.p99_before_ms:.1f}", f"{each.p99_away_ms:.1f}", f"{max(each.recoveries_s):.2f}")
        table.add_row(each.killed, *cells, *times)
    return table


if __name__ == "__main__":
    main()
