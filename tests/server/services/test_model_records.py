"""What happened to models is written down, and nothing waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from audotics.server.repository.history import Cause, ModelChange, ModelEvent, Origin
from audotics.server.services.event_log import EventLog
from audotics.server.services.listeners import Listeners
from audotics.server.services.model_records import ModelRecords
from audotics.server.services.retention import Periods, Retention, Swept
from audotics.server.storage.database import Database
from audotics.server.storage.model_records import ModelRecordStore
from audotics.server.storage.retention import RetentionStore

BY_ANN = Cause(Origin.OPERATOR, caller="10.0.0.1")


def change(number: int, *, reason: str = "") -> ModelChange:
    return ModelChange(ModelEvent.REFUSED, "ncf", number, BY_ANN, reason=reason)


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[tuple[Database, Database]]:
    """A database that waits for nobody's lock, and another connection to it."""
    url = f"sqlite:///{tmp_path}/locked.db?timeout=0.01"
    with closing(Database.open(url)) as first, closing(Database.open(url)) as second:
        yield first, second


async def versions(records: ModelRecords) -> list[int]:
    """Oldest first."""
    found, _ = await records.page(limit=1000)
    return [record.version for record in found][::-1]


async def until(records: ModelRecords, condition: Callable[[], bool]) -> None:
    while not condition():
        await records.page(limit=1)


async def test_a_database_that_is_away_costs_a_line_in_the_log_and_no_record(
    impatient: tuple[Database, Database], executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    database, other = impatient
    store = ModelRecordStore(database)
    with caplog.at_level(logging.INFO, "audotics.server.services.model_records"):
        async with ModelRecords(store, server="s", writing=executor, reading=executor, retry_s=0.001) as records:
            with other.transaction():
                records.add([change(1), change(2)])
                await until(records, lambda: database.failures > 3)
                records.add([change(3)])
                assert (records.waiting, records.written, records.dropped) == (3, 0, 0)
            await until(records, lambda: records.waiting == 0)
            assert await versions(records) == [1, 2, 3]
            assert (records.written, records.dropped) == (3, 0)
    own = [record.getMessage() for record in caplog.records if record.name.endswith("model_records")]
    warned, recovered = own
    assert "records of models wait, and nothing else does: the server's database is locked" in warned
    assert "records of models are written again; 0 were lost" in recovered


async def test_what_waits_is_bounded_and_what_is_lost_is_counted(
    impatient: tuple[Database, Database], executor: ThreadPoolExecutor
) -> None:
    database, other = impatient
    store = ModelRecordStore(database)
    async with ModelRecords(store, server="s", writing=executor, reading=executor, limit=3, retry_s=0.001) as records:
        with other.transaction():
            records.add([change(number) for number in range(2)])
            records.add([change(number) for number in range(2, 10)])
            assert (records.waiting, records.dropped) == (3, 7)
        await until(records, lambda: records.waiting == 0)
        assert await versions(records) == [0, 1, 2]


async def test_leaving_writes_what_waits(database: Database, executor: ThreadPoolExecutor) -> None:
    store = ModelRecordStore(database)
    async with ModelRecords(store, server="s", writing=executor, reading=executor) as records:
        records.add([change(number) for number in range(250)])
    found, following = store.latest(limit=1000)
    assert [record.version for record in found] == list(range(249, -1, -1))
    assert following is None


async def test_leaving_while_the_database_is_away_loses_what_waits_and_says_so(
    impatient: tuple[Database, Database], executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    database, other = impatient
    store = ModelRecordStore(database)
    with other.transaction():
        async with ModelRecords(store, server="s", writing=executor, reading=executor, retry_s=0.001) as records:
            records.add([change(1), change(2)])
    assert (records.written, records.dropped) == (0, 2)
    assert "records of models are lost (2): the server ends" in caplog.text


async def test_no_text_of_a_broken_file_keeps_others_from_being_written(
    database: Database, executor: ThreadPoolExecutor
) -> None:
    store = ModelRecordStore(database)
    async with ModelRecords(store, server="s", writing=executor, reading=executor) as records:
        records.add([change(1, reason="a\0b\udc80c")])
    ((record,), _) = store.latest(limit=10)
    assert record.reason == "a\N{REPLACEMENT CHARACTER}b?c"


async def test_records_older_than_their_period_go(
    database: Database, executor: ThreadPoolExecutor, log: EventLog, listeners: Listeners
) -> None:
    now = [0.0]
    store = ModelRecordStore(database)
    async with ModelRecords(store, server="s", writing=executor, reading=executor, now=lambda: now[0]) as records:
        records.add([change(1)])
        now[0] = 2 * 86_400.0
        records.add([change(2)])
        await until(records, lambda: records.waiting == 0)
        retention = Retention(
            RetentionStore(database),
            periods=Periods(model_record_days=1.0),
            log=log,
            listeners=listeners,
            now=lambda: now[0] + 1,
        )
        assert await retention.sweep() == Swept(model_records=1)
        assert await versions(records) == [2]


async def test_a_record_that_no_database_takes_does_not_end_the_writing(
    database: Database, executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    async with ModelRecords(ModelRecordStore(database), server="s", writing=executor, reading=executor) as records:
        records.add([change(2**70)])
        await until(records, lambda: records.waiting == 0)
        records.add([change(1)])
        await until(records, lambda: records.waiting == 0)
        assert await versions(records) == [1]
        assert (records.written, records.dropped) == (1, 1)
    assert "records of models are lost (1): trying again would end in the same way" in caplog.text
