"""What is left of acknowledged events when processes are killed under load, and how long a return takes.

First, `audotics serve` on SQLite is killed with SIGKILL at a random moment while callers send events, and started
again, as often as asked for. Every event that was acknowledged has to be in the database in the end, and none twice.
Events whose answer was lost are sent again to the next server, as a client would.

Then PostgreSQL is killed under a server that goes on, and started again. Lists have to be answered all the time, events
must be acknowledged again within five seconds of its return, and again none may be missing or stored twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import grpc
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import create_engine, text
from support.serving import Postgres, postgres, served
from support.serving_repository import write_repository

from audotics.v1.feedback_service_pb2 import (
    EVENT_TYPE_PLAY,
    FEEDBACK_STATUS_REJECTED,
    FeedbackEvent,
    RecordFeedbackRequest,
)
from audotics.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from audotics.v1.recommender_service_pb2 import RecommendRequest, Subject
from audotics.v1.recommender_service_pb2_grpc import RecommenderServiceStub

CALLERS: Final = 4
BATCH_EVENTS: Final = 20
RECOVERY_LIMIT_S: Final = 5.0
_LONGEST_LIFE_S: Final = 1.5
_DOWN_S: Final = 3.0
_BEFORE_S: Final = 2.0


@dataclass(slots=True)
class Sender:
    """Sends batches; keeps which events were acknowledged, and sends those whose answer was lost again."""

    tracks: list[str]
    numbers: count[int] = field(default_factory=count)
    acknowledged: set[str] = field(default_factory=set)
    unanswered: list[list[FeedbackEvent]] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def next_batch(self) -> list[FeedbackEvent]:
        if self.unanswered:
            return self.unanswered.pop()
        return [self._event(number) for number, _ in zip(self.numbers, range(BATCH_EVENTS))]  # noqa: B905

    async def send(self, stub: Any) -> bool:
        """Send one batch; whether it was acknowledged."""
        batch = self.next_batch()
        try:
            answer = await stub.RecordFeedback(RecordFeedbackRequest(events=batch), timeout=10)
        except grpc.aio.AioRpcError as error:
            self.failures[error.code().name] += 1
            self.unanswered.append(batch)
            return False
        if any(result.status == FEEDBACK_STATUS_REJECTED for result in answer.results):
            raise RuntimeError(f"rejected: {answer}")
        self.acknowledged.update(event.event_id for event in batch)
        return True

    def _event(self, number: int) -> FeedbackEvent:
        return FeedbackEvent(
            event_id=f"event-{number:012d}",
            user_id=f"user-{number % 500}",
            track_id=self.tracks[number % len(self.tracks)],
            type=EVENT_TYPE_PLAY,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a series of kills left behind."""

    killed: str
    kills: int
    acknowledged: int
    missing: int
    stored_twice: int
    lists_answered: int
    lists_failed: int
    slowest_recovery_s: float

    @property
    def holds(self) -> bool:
        broken = self.missing or self.stored_twice or self.lists_failed
        return not broken and self.slowest_recovery_s <= RECOVERY_LIMIT_S


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of the server")
    parser.add_argument("--database-kills", type=int, default=3, help="of PostgreSQL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the numbers to this file, too")
    arguments = parser.parse_args()
    console, outcomes = Console(width=120), []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cr", ignore_cleanup_errors=True)))
        histories = write_repository(folder / "repository", n_tracks=2000, n_users=50)
        tracks = sorted({track_id for heard in histories.values() for track_id in heard})
        if arguments.kills:
            outcomes.append(_kill_servers(folder, tracks, kills=arguments.kills, seed=arguments.seed))
        if arguments.database_kills:
            server = stack.enter_context(postgres(folder))
            outcomes.append(_kill_databases(folder, tracks, server, kills=arguments.database_kills))
    console.print(_table(outcomes))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    if not all(outcome.holds for outcome in outcomes):
        sys.exit("error: a promise is broken; see the table")


def _kill_servers(folder: Path, tracks: list[str], *, kills: int, seed: int) -> Outcome:
    sender, chance = Sender(tracks), random.Random(seed)
    file = folder / "state.db"

    async def load(address: str, process: Any) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = FeedbackServiceStub(channel)

            async def call() -> None:
                while await sender.send(stub):
                    pass

            callers = [asyncio.ensure_future(call()) for _ in range(CALLERS)]
            await asyncio.sleep(chance.uniform(0.05, _LONGEST_LIFE_S))
            process.kill()
            await asyncio.gather(*callers)

    for _ in track(range(kills), description="Killing the server"):
        with served(folder / "repository", database_url=f"sqlite:///{file}") as server:
            asyncio.run(load(server.address, server.process))
    with contextlib.closing(sqlite3.connect(file)) as connection:
        stored = Counter(row[0] for row in connection.execute("SELECT event_id FROM events"))
    return _outcome("server, on SQLite", kills, sender, stored)


def _kill_databases(folder: Path, tracks: list[str], database: Postgres, *, kills: int) -> Outcome:
    sender, lists = Sender(tracks), Counter[str]()
    recoveries: list[float] = []

    async def load(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub, recommender = FeedbackServiceStub(channel), RecommenderServiceStub(channel)
            ended, acknowledged = asyncio.Event(), asyncio.Event()

            async def send() -> None:
                while not ended.is_set():
                    if await sender.send(stub):
                        acknowledged.set()
                    else:
                        await asyncio.sleep(0.05)

            async def recommend() -> None:
                for number in count():
                    if ended.is_set():
                        return
                    subject = Subject(user_id=f"user-{number % 500}")
                    try:
                        answer = await recommender.Recommend(RecommendRequest(subject=subject, limit=10), timeout=10)
                    except grpc.aio.AioRpcError as error:
                        lists[error.code().name] += 1
                    else:
                        lists["OK" if len(answer.tracks) == 10 else "SHORT"] += 1
                    await asyncio.sleep(0.01)

            tasks = [asyncio.ensure_future(work()) for work in [send] * CALLERS + [recommend]]
            loop = asyncio.get_running_loop()
            for _ in range(kills):
                await asyncio.sleep(_BEFORE_S)
                await loop.run_in_executor(None, database.kill)
                await asyncio.sleep(_DOWN_S)
                acknowledged.clear()
                await loop.run_in_executor(None, database.start)
                returned = time.perf_counter()
                await acknowledged.wait()
                recoveries.append(time.perf_counter() - returned)
            ended.set()
            await asyncio.gather(*tasks)

    with Console().status("Killing PostgreSQL"), served(folder / "repository", database_url=database.url) as server:
        asyncio.run(load(server.address))
    engine = create_engine(database.url)
    with engine.connect() as connection:
        stored = Counter(connection.scalars(text("SELECT event_id FROM events")))
    engine.dispose()
    return _outcome("PostgreSQL", kills, sender, stored, lists=lists, recovery_s=max(recoveries))


def _outcome(
    killed: str,
    kills: int,
    sender: Sender,
    stored: Counter[str],
    *,
    lists: Counter[str] | None = None,
    recovery_s: float = 0.0,
) -> Outcome:
    answered = Counter[str]() if lists is None else lists
    return Outcome(
        killed=killed,
        kills=kills,
        acknowledged=len(sender.acknowledged),
        missing=len(sender.acknowledged - stored.keys()),
        stored_twice=sum(1 for times in stored.values() if times > 1),
        lists_answered=answered["OK"],
        lists_failed=answered.total() - answered["OK"],
        slowest_recovery_s=recovery_s,
    )


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title="Processes killed with SIGKILL under load")
    names = ("killed", "times", "acknowledged", "missing", "stored twice", "lists", "lists failed", "recovery s")
    for name in names:
        table.add_column(name, justify="left" if name == "killed" else "right")
    for each in outcomes:
        counts = (each.kills, each.acknowledged, each.missing, each.stored_twice)
        lists = (each.lists_answered, each.lists_failed)
        table.add_row(each.killed, *(f"{value:,}" for value in (*counts, *lists)), f"{each.slowest_recovery_s:.1f}")
    return table


if __name__ == "__main__":
    main()
