"""Records of models on both databases: all are kept once, and pages of them hold each once, the newest first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from audotics.server.storage.database import Database
from audotics.server.storage.model_records import ModelRecordStore, Place, StoredModelRecord
from audotics.server.storage.retention import Expired, RetentionStore

RECORD = StoredModelRecord(
    record_id="r0",
    at=1_763_735_049.123457,
    server="one",
    event="in_service",
    model="ncf",
    version=2**40,
    replaced=1,
    label="",
    origin="operator",
    caller="127.0.0.1",
    reason="“why”, it's \\ so",
    digest="d" * 64,
)

Connect = Callable[[], Database]


@pytest.fixture
def records(database: Database) -> ModelRecordStore:
    return ModelRecordStore(database)


def pages(
    store: ModelRecordStore, *, limit: int, model: str = "", tenant: str = "", before: float | None = None
) -> list[list[StoredModelRecord]]:
    found: list[list[StoredModelRecord]] = []
    after: Place | None = None
    while True:
        page, after = store.latest(limit=limit, after=after, model=model, tenant=tenant, before=before)
        found.append(page)
        if after is None:
            return found


def numbered(count: int, *, at: float = 1.0) -> list[StoredModelRecord]:
    return [replace(RECORD, record_id=f"r{number}", at=at, version=number + 1) for number in range(count)]


def test_every_field_is_kept(records: ModelRecordStore) -> None:
    records.append([RECORD])
    records.append([])
    assert records.latest(limit=10) == ([RECORD], None)


def test_a_record_that_is_written_twice_stands_once(records: ModelRecordStore) -> None:
    first, second = numbered(2)
    records.append([first])
    records.append([replace(first, reason="again"), second])
    assert records.latest(limit=10) == ([second, first], None)


def test_pages_hold_every_record_once_the_newest_first(records: ModelRecordStore) -> None:
    """Many records have the same time: a change of a hybrid makes several at once."""
    written = [replace(record, at=float(number // 4)) for number, record in enumerate(numbered(23))]
    records.append(written)
    found = pages(records, limit=5)
    assert [len(page) for page in found] == [5, 5, 5, 5, 3]
    assert [record for page in found for record in page] == written[::-1]
    assert pages(records, limit=23) == [written[::-1]]


def test_a_page_that_was_begun_does_not_see_what_comes_later(records: ModelRecordStore) -> None:
    written = numbered(4)
    records.append(written)
    _, after = records.latest(limit=2)
    records.append([replace(RECORD, record_id="later", at=2.0)])
    assert records.latest(limit=2, after=after) == (written[1::-1], None)


def test_a_model_and_a_time_choose(records: ModelRecordStore) -> None:
    written = [
        replace(record, model=("ncf", "hybrid")[number % 2], at=float(number))
        for number, record in enumerate(numbered(12))
    ]
    records.append(written)
    assert [record for page in pages(records, limit=2, model="hybrid") for record in page] == written[11::-2]
    assert [record for page in pages(records, limit=2, model="ncf", before=6.0) for record in page] == written[4::-2]
    assert records.latest(limit=5, model="content") == ([], None)


def test_a_tenant_leaves_out_the_models_of_others(records: ModelRecordStore) -> None:
    """An underscore stands for itself, though it is a pattern of SQL."""
    models = ("ncf", "acme--ncf", "acm_--ncf", "hybrid", "acm--ncf", "acme-eu--ncf")
    written = [replace(record, model=models[number % len(models)]) for number, record in enumerate(numbered(18))]
    records.append(written)
    for tenant in ("acme", "acm_", "acm", "acme-eu", "other"):
        seen = [record for record in written[::-1] if record.model in ("ncf", "hybrid", f"{tenant}--ncf")]
        assert [record for page in pages(records, limit=4, tenant=tenant) for record in page] == seen
    assert records.latest(limit=1, tenant="acme", model="acm_--ncf") == ([], None)


def test_servers_write_side_by_side(connect: Connect) -> None:
    stores = [ModelRecordStore(connect()) for _ in range(2)]

    def write(number: int) -> None:
        own = [replace(record, record_id=f"{number}-{record.record_id}") for record in numbered(5)]
        stores[number % 2].append(own)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(20)))
    found = [record.record_id for page in pages(stores[0], limit=7) for record in page]
    assert len(found) == len(set(found)) == 100


def test_what_is_old_expires(records: ModelRecordStore, database: Database) -> None:
    written = [replace(record, at=float(number)) for number, record in enumerate(numbered(5))]
    records.append(written)
    retention = RetentionStore(database)
    assert retention.expire_model_records(before=3.0, limit=2) == Expired(2, frozenset())
    assert retention.expire_model_records(before=3.0, limit=2) == Expired(1, frozenset())
    assert records.latest(limit=10) == ([written[4], written[3]], None)
