"""Receipts: every list leaves one, no list waits for it, and its scores can be computed again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audotics.features.history import MAX_HISTORY
from audotics.server.errors import NotFoundError
from audotics.server.pipeline.made_list import MadeList
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.event_log import EventLog
from audotics.server.services.explain import ExplainService
from audotics.server.services.listeners import Listeners
from audotics.server.services.receipt import Receipt, ReceiptError
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.storage.database import Database
from audotics.server.storage.receipts import ReceiptStore, StoredReceipt
from audotics.server.types import Context, Event, Objectives, Recommendation, RecommendQuery, Subject

USER = Subject("user", user_id="u01")


@pytest.fixture
def explain(
    registry: Registry,
    recommender: Recommender,
    stored_receipts: ReceiptStore,
    receipts: ReceiptWriter,
    executor: ThreadPoolExecutor,
) -> ExplainService:
    return ExplainService(
        registry=registry, recommender=recommender, receipts=stored_receipts, writer=receipts, executor=executor
    )


async def recommend(
    query: RecommendQuery, listeners: Listeners, recommender: Recommender, registry: Registry
) -> Recommendation:
    snapshot = registry.snapshot
    listener, _ = await listeners.resolve(query.subject, snapshot.catalog)
    return await recommender.recommend(snapshot, listener, query)


QUERIES = [
    RecommendQuery(USER, limit=10),
    RecommendQuery(USER, limit=5, context=Context("chill", ("jazz",)), explain=True, diversity=0.7),
    RecommendQuery(Subject("session", track_ids=("t001", "t005")), limit=20, objectives=Objectives(novelty=0.5)),
    RecommendQuery(Subject("user", user_id="a stranger"), limit=3),
]


@pytest.mark.parametrize("query", QUERIES)
async def test_a_replay_is_exact(
    query: RecommendQuery, explain: ExplainService, listeners: Listeners, recommender: Recommender, registry: Registry
) -> None:
    answer = await recommend(query, listeners, recommender, registry)
    explained = await explain.explain(answer.recommendation_id)
    receipt, replay = explained.receipt, explained.replay
    assert replay is not None, explained.not_replayed
    assert replay.max_abs_difference <= 1e-6
    assert receipt.listed == tuple(track.track_id for track in answer.tracks)
    assert [track.track_id for track in replay.tracks] == list(receipt.candidates)
    recorded = dict(zip(receipt.candidates, receipt.scores.tolist(), strict=True))
    assert [recorded[track.track_id] for track in answer.tracks] == [track.score for track in answer.tracks]
    for track in replay.tracks:
        assert sum(part.contribution for part in track.contributions) == pytest.approx(track.score, abs=1e-5)
    assert receipt.model_versions == registry.snapshot.model_versions


async def test_a_replay_is_exact_after_the_listener_went_on(
    explain: ExplainService, log: EventLog, listeners: Listeners, recommender: Recommender, registry: Registry
) -> None:
    first = await recommend(QUERIES[0], listeners, recommender, registry)
    await log.append([Event("later", "u01", "t191", "like", 999.0)], received_at=1.0)
    second = await recommend(QUERIES[0], listeners, recommender, registry)
    explained = [await explain.explain(answer.recommendation_id) for answer in (first, second)]
    assert [each.replay is not None and each.replay.max_abs_difference <= 1e-6 for each in explained] == [True, True]
    digests = {each.receipt.listener_digest for each in explained}
    assert len(digests) == 2


async def test_a_replay_is_exact_for_a_history_longer_than_models_see(
    make_repository: Callable[..., Any],
    tmp_path: Path,
    log: EventLog,
    listeners: Listeners,
    recommender: Recommender,
    stored_receipts: ReceiptStore,
    receipts: ReceiptWriter,
    executor: ThreadPoolExecutor,
) -> None:
    store = make_repository(tmp_path / "large", n_tracks=400).store
    await log.append([Event(f"e{n}", "u", f"t{n:03d}", "play", float(n)) for n in range(300)], received_at=1.0)
    async with Registry(store, executor=executor) as registry:
        await registry.start()
        explain = ExplainService(
            registry=registry, recommender=recommender, receipts=stored_receipts, writer=receipts, executor=executor
        )
        answer = await recommend(RecommendQuery(Subject("user", user_id="u"), 10), listeners, recommender, registry)
        explained = await explain.explain(answer.recommendation_id)
    assert (explained.receipt.history_length, len(explained.receipt.history)) == (300, MAX_HISTORY)
    assert explained.replay is not None
    assert explained.replay.max_abs_difference <= 1e-6


async def test_a_change_of_the_features_shows_in_the_replay(
    explain: ExplainService, listeners: Listeners, recommender: Recommender, registry: Registry
) -> None:
    answer = await recommend(RecommendQuery(USER, limit=10), listeners, recommender, registry)
    catalog = registry.snapshot.catalog
    changed = catalog.record(catalog.row_of(answer.tracks[0].track_id))
    await registry.apply_tracks(upserts=[replace(changed, tags=("polka",), audio=())])
    replay = (await explain.explain(answer.recommendation_id)).replay
    assert replay is not None
    assert replay.max_abs_difference > 1e-3


async def test_without_the_models_that_made_it_there_is_no_replay(
    explain: ExplainService, stored_receipts: ReceiptStore, receipts: ReceiptWriter, registry: Registry
) -> None:
    receipt = Receipt(
        USER, Context(), (), 0, ("t001",), np.zeros(1, np.float32), ("t001",), (("ncf", 9),), "catalog/1", ()
    )
    stored_receipts.write([StoredReceipt("r1", "u01", 5.0, receipt.to_bytes())])
    explained = await explain.explain("r1")
    assert explained.replay is None
    assert "ncf" in explained.not_replayed
    assert "load the versions that made the list" in explained.not_replayed

    left_out = replace(receipt, model_versions=registry.snapshot.model_versions, left_out=("ncf",))
    stored_receipts.write([StoredReceipt("r2", "u01", 5.0, left_out.to_bytes())])
    assert (await explain.explain("r2")).not_replayed.startswith("the list was made without ncf")


async def test_a_list_without_a_receipt_is_not_found(explain: ExplainService, stored_receipts: ReceiptStore) -> None:
    with pytest.raises(NotFoundError, match=r"receipt not found: 'none'; it has expired"):
        await explain.explain("none")
    stored_receipts.write([StoredReceipt("r1", "", 5.0, b"\x01\x00\x00\x00\x00nonsense")])
    with pytest.raises(NotFoundError, match="the receipt is damaged"):
        await explain.explain("r1")


def test_bytes_of_another_format_are_refused() -> None:
    with pytest.raises(ReceiptError, match="has format 9; this version reads 1"):
        Receipt.from_bytes(b"\x09\x00\x00\x00\x00")


async def test_a_full_queue_drops_receipts_and_says_so_once(
    stored_receipts: ReceiptStore,
    log: EventLog,
    executor: ThreadPoolExecutor,
    listeners: Listeners,
    registry: Registry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[MadeList] = []
    async with Recommender(executor=executor, on_listed=made.append) as recommender:
        await recommend(QUERIES[0], listeners, recommender, registry)
    writer = ReceiptWriter(stored_receipts, log=log, executor=executor, limit=2)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            writer.add(made[0])
    assert writer.dropped == 3
    assert [record.message for record in caplog.records] == ["receipts are lost, lists go on: the queue is full"]
    await writer.flush()
    assert stored_receipts.read(made[0].answer.recommendation_id) is not None


async def test_a_database_that_fails_loses_receipts_and_no_list(
    receipts: ReceiptWriter,
    recommender: Recommender,
    listeners: Listeners,
    registry: Registry,
    database: Database,
    stored_receipts: ReceiptStore,
) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE receipts RENAME TO elsewhere")
    assert len((await recommend(QUERIES[0], listeners, recommender, registry)).tracks) == 10
    await receipts.flush()
    assert receipts.dropped == 1
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO receipts")
    answer = await recommend(QUERIES[0], listeners, recommender, registry)
    await receipts.flush()
    assert stored_receipts.read(answer.recommendation_id) is not None
