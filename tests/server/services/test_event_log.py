"""Group commit: what arrives together is stored together, and every caller gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from audotics.server.errors import OverloadedError
from audotics.server.services.event_log import EventLog, GroupLimits
from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.storage.events import EventStore, Outcome
from audotics.server.types import Event


class Gate(EventStore):
    """A real store that counts its transactions, and waits before each until it is let go."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.groups: list[int] = []
        self.entered, self.open = threading.Semaphore(0), threading.Semaphore(0)

    def append(self, events: Sequence[Event], *, received_at: float) -> list[Outcome]:
        self.entered.release()
        self.open.acquire()
        self.groups.append(len(events))
        return super().append(events, received_at=received_at)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture
def gate(database: Database) -> Gate:
    return Gate(database)


def play(number: int, user_id: str = "u") -> Event:
    return Event(f"e{number}", user_id, "t001", "play", 1.0)


def nothing(_: Sequence[Event]) -> None:
    pass


async def begin(log: EventLog, gate: Gate, executor: ThreadPoolExecutor, *events: Event) -> asyncio.Task[list[Outcome]]:
    """Append, and return once the store is held up with it."""
    task = asyncio.create_task(log.append(events, received_at=1.0))
    await asyncio.get_running_loop().run_in_executor(executor, gate.entered.acquire)
    return task


async def test_all_that_waits_shares_one_transaction(gate: Gate, executor: ThreadPoolExecutor) -> None:
    told: list[str] = []
    async with EventLog(
        gate,
        executor=executor,
        on_stored=lambda events: told.extend(event.event_id for event in events),
        on_failed=nothing,
    ) as log:
        first = await begin(log, gate, executor, play(0))
        others = [asyncio.create_task(log.append([play(n), play(0)], received_at=1.0)) for n in (1, 2, 1)]
        await asyncio.sleep(0)
        gate.open.release(2)
        assert await first == ["accepted"]
        assert await asyncio.gather(*others) == [["accepted", "duplicate"]] * 2 + [["duplicate", "duplicate"]]
    assert gate.groups == [1, 6]
    assert told == ["e0", "e1", "e2"]


async def test_a_group_is_bounded_and_holds_whole_batches(gate: Gate, executor: ThreadPoolExecutor) -> None:
    limits = GroupLimits(group_events=4)
    async with EventLog(gate, executor=executor, on_stored=nothing, on_failed=nothing, limits=limits) as log:
        first = await begin(log, gate, executor, *[play(n) for n in range(6)])
        batches = [[play(n), play(n + 1), play(n + 2)] for n in (10, 20, 30)]
        others = [asyncio.create_task(log.append(batch, received_at=1.0)) for batch in batches]
        await asyncio.sleep(0)
        gate.open.release(9)
        await asyncio.gather(first, *others)
    assert gate.groups == [6, 3, 3, 3]


async def test_too_many_waiting_events_are_refused(
    gate: Gate, executor: ThreadPoolExecutor, events: EventStore
) -> None:
    limits = GroupLimits(waiting_events=3)
    async with EventLog(gate, executor=executor, on_stored=nothing, on_failed=nothing, limits=limits) as log:
        first = await begin(log, gate, executor, play(0))
        second = asyncio.create_task(log.append([play(1), play(2)], received_at=1.0))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="2 events wait") as caught:
            await log.append([play(3), play(4)], received_at=1.0)
        assert caught.value.retry_after_s > 0
        gate.open.release(9)
        await asyncio.gather(first, second)
        assert await log.append([play(3)], received_at=1.0) == ["accepted"]
    assert [event.event_id for event in events.history("u")] == ["e0", "e1", "e2", "e3"]


async def test_a_turn_comes_between_what_was_before_and_what_was_after(
    gate: Gate, executor: ThreadPoolExecutor, events: EventStore
) -> None:
    async with EventLog(gate, executor=executor, on_stored=nothing, on_failed=nothing) as log:
        first = await begin(log, gate, executor, play(0))
        second = asyncio.create_task(log.append([play(1)], received_at=1.0))
        turn = asyncio.create_task(log.in_turn(lambda: len(events.history("u"))))
        third = asyncio.create_task(log.append([play(2)], received_at=1.0))
        await asyncio.sleep(0)
        gate.open.release(3)
        await asyncio.gather(first, second, third)
        assert await turn == 2


async def test_leaving_stores_what_waits(gate: Gate, executor: ThreadPoolExecutor, events: EventStore) -> None:
    async with EventLog(gate, executor=executor, on_stored=nothing, on_failed=nothing) as log:
        first = await begin(log, gate, executor, play(0))
        second = asyncio.create_task(log.append([play(1)], received_at=1.0))
        await asyncio.sleep(0)
        gate.open.release(2)
    assert (await first, await second) == (["accepted"], ["accepted"])
    assert len(events.history("u")) == 2


async def test_a_failed_group_fails_for_all_of_it_and_the_next_goes_on(
    database: Database, executor: ThreadPoolExecutor
) -> None:
    lost: list[str] = []
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE events RENAME TO elsewhere")
    async with EventLog(
        EventStore(database),
        executor=executor,
        on_stored=nothing,
        on_failed=lambda events: lost.extend(event.event_id for event in events),
    ) as log:
        failures = await asyncio.gather(
            *[log.append([play(n)], received_at=1.0) for n in range(3)], return_exceptions=True
        )
        assert [type(failure) for failure in failures] == [StorageError] * 3
        assert lost == ["e0", "e1", "e2"]
        with database.transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO events")
        assert await log.append([play(0)], received_at=1.0) == ["accepted"]
        with pytest.raises(ZeroDivisionError):
            await log.in_turn(lambda: 1 // 0)
        assert await log.append([play(0)], received_at=1.0) == ["duplicate"]
