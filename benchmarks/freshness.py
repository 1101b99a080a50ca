"""From an acknowledgement to the list that knows of it: how many next lists do, and how soon a watched one comes.

A listener has just been given a list. An event (a like of its first track) or a preference (its first artist is
blocked) is sent; as soon as it is acknowledged the next list is asked for, and again until one reflects it. Beside it
stands a stream of `WatchRecommendations` for the same listener. A list reflects a like when the track is gone and the
scores of the others are new ones, which they are when the listener's vectors hold it; and a blocked artist when no
track of theirs is left. Times are taken by the caller, from the acknowledgement to the arrival of the first list that
reflects it, and hold the making of that list. A watched list that comes before the acknowledgement counts as 0.

Three layouts: one server on SQLite, one on PostgreSQL, and two on one PostgreSQL and one Redis, where one takes the
events and the lists are those of the other. The limit is 200 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table
from support.serving import postgres, redis_server, served
from support.serving_repository import write_repository

from audotics.client import AsyncRecommenderClient, FeedbackEvent, FeedbackStatus, Recommendation

LIMIT_MS: Final = 200.0
_PATIENCE_S: Final = 10.0
_LIST: Final = 10


@dataclass(frozen=True, slots=True)
class Round:
    """Whether the next list reflected what was acknowledged, and after how long one did, asked for and watched."""

    layout: str
    said: str
    next_reflects: bool
    asked_ms: float
    watched_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400, help="events and preferences of each layout")
    parser.add_argument("--callers", type=int, default=2, help="listeners at a time")
    parser.add_argument("--tracks", type=int, default=20_000)
    parser.add_argument("--json", type=Path, help="write every round to this file, too")
    arguments = parser.parse_args()
    console, rounds = Console(width=120), list[Round]()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fr", ignore_cleanup_errors=True)))
        users = list(write_repository(folder / "repository", n_tracks=arguments.tracks, n_users=200))
        for layout, addresses in _layouts(folder):
            with console.status(layout):
                work = _measure(layout, addresses, users, rounds=arguments.rounds, callers=arguments.callers)
                rounds += asyncio.run(work)
    console.print(_shown(rounds))
    if arguments.json:
        arguments.json.write_text(json.dumps([_plain(each) for each in rounds], indent=2) + "\n")
    late = [each for each in rounds if max(each.asked_ms, each.watched_ms) > LIMIT_MS]
    if late:
        sys.exit(f"error: {len(late)} of {len(rounds)} lists came later than {LIMIT_MS:g} ms")


def _layouts(folder: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Names, and the addresses of the server that is told and of the one that is asked. Each ends with the next."""
    repository = folder / "repository"
    with served(repository, database_url=f"sqlite:///{folder}/state.db") as server:
        yield "SQLite", (server.address, server.address)
    with postgres(folder) as database:
        with served(repository, database_url=database.url) as server:
            yield "PostgreSQL", (server.address, server.address)
        with redis_server(folder) as cache, contextlib.ExitStack() as stack:
            told, asked = (
                stack.enter_context(served(repository, database_url=database.url, cache_url=cache.url))
                for _ in range(2)
            )
            yield "two servers", (told.address, asked.address)


async def _measure(
    layout: str, addresses: tuple[str, str], users: Sequence[str], *, rounds: int, callers: int
) -> list[Round]:
    done: list[Round] = []
    numbers = iter(range(-10 * callers, rounds))  # the first ones are for warming up
    async with AsyncRecommenderClient(addresses[0]) as told, AsyncRecommenderClient(addresses[1]) as asked:

        async def call() -> None:
            for number in numbers:
                # No two callers have the same listener at a time, nor two layouts the same event.
                measured = await _round(layout, told, asked, users[number % len(users)], number)
                if number >= 0:
                    done.append(measured)

        await asyncio.gather(*(call() for _ in range(callers)))
    return done


async def _round(
    layout: str, told: AsyncRecommenderClient, asked: AsyncRecommenderClient, user_id: str, number: int
) -> Round:
    watched = asked.watch_recommendations(user_id, limit=_LIST)
    await anext(watched)
    before = await asked.recommend(user_id, limit=_LIST)
    first = before.tracks[0]
    blocks = number % 4 == 3
    reflects: Callable[[Recommendation], bool]
    if blocks:
        reflects = lambda answer: first.artist not in {track.artist for track in answer.tracks}  # noqa: E731
    else:
        reflects = lambda answer: _knows_of_like(before, answer)  # noqa: E731
    watching = asyncio.create_task(_arrival(watched, reflects))
    if blocks:
        await told.update_preferences(user_id, blocked_artists=[first.artist])
    else:
        event = FeedbackEvent(user_id, first.track_id, "like", event_id=f"{layout}-{number}")
        (result,) = await told.record_feedback([event])
        if result.status is not FeedbackStatus.ACCEPTED:
            raise RuntimeError(f"the event was not accepted: {result}")
    acknowledged = time.perf_counter()
    async with asyncio.timeout(_PATIENCE_S):
        next_reflects = reflects(answer := await asked.recommend(user_id, limit=_LIST))
        while not reflects(answer):
            answer = await asked.recommend(user_id, limit=_LIST)
        asked_s = time.perf_counter() - acknowledged
        watched_s = max(await watching - acknowledged, 0.0)
    return Round(layout, "preference" if blocks else "event", next_reflects, 1000 * asked_s, 1000 * watched_s)


def _knows_of_like(before: Recommendation, answer: Recommendation) -> bool:
    liked = before.tracks[0].track_id
    earlier = {track.track_id: track.score for track in before.tracks}
    scores = {track.track_id: track.score for track in answer.tracks}
    common = earlier.keys() & scores.keys()
    return liked not in scores and all(earlier[track_id] != scores[track_id] for track_id in common)


async def _arrival(watched: AsyncIterator[Recommendation], reflects: Callable[[Recommendation], bool]) -> float:
    """When the first list came that reflects it, on the clock of `time.perf_counter`."""
    async with contextlib.aclosing(watched):  # type: ignore[type-var]
        async for answer in watched:
            if reflects(answer):
                return time.perf_counter()
    raise RuntimeError("the stream ended")


def _shown(rounds: Sequence[Round]) -> Table:
    table = Table(title="next lists that reflect what was acknowledged; milliseconds from there to the first that does")
    for name in ("", "said", "rounds", "next list", "p50", "p99", "most", "watched: p50", "p99", "most"):
        table.add_column(name, justify="left" if name in ("", "said") else "right")
    for layout, said in dict.fromkeys((each.layout, each.said) for each in rounds):
        own = [each for each in rounds if (each.layout, each.said) == (layout, said)]
        times = ([each.asked_ms for each in own], [each.watched_ms for each in own])
        fresh = np.mean([each.next_reflects for each in own])
        cells = [f"{value:.1f}" for values in times for value in np.quantile(values, (0.5, 0.99, 1.0))]
        table.add_row(layout, said, str(len(own)), f"{fresh:.1%}", *cells)
    return table


def _plain(each: Round) -> dict[str, Any]:
    return {name: getattr(each, name) for name in Round.__slots__}


if __name__ == "__main__":
    main()
