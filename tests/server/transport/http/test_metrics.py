"""`/metrics` of a running server: each part does something, and the numbers say so."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.meters.retrieval import read_indexes
from audotics.server.repository.registry import Registry
from audotics.server.retrieval.backends.backend import DeviceError
from audotics.server.retrieval.backends.fallback import WithFallback
from audotics.server.retrieval.backends.gpu import gpu_count
from audotics.server.retrieval.opening import IndexOpener
from audotics.server.services.indexes import IndexService
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.transport.compat.stubs import inference_pb2
from audotics.v1 import catalog_service_pb2 as catalog_pb
from audotics.v1 import experiment_service_pb2 as experiment_pb
from audotics.v1 import feedback_service_pb2 as feedback_pb
from audotics.v1 import model_service_pb2 as model_pb
from audotics.v1 import recommender_service_pb2 as pb
from audotics.v1 import track_pb2
from tests.redis_server import RedisServer, running_redis
from tests.scraping import scrape, scrape_until

RECOMMEND = {"service": "audotics.v1.RecommenderService", "method": "Recommend"}


@pytest.fixture
async def server(start: Any, repository: Any) -> AsyncIterator[Any]:
    """With HTTP; every search is measured again."""
    async with start(repository.path, http_port=0, recall_sample_share=1.0) as running:
        yield running


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


async def recommend(server: Any, user_id: str, **fields: Any) -> pb.RecommendResponse:
    return await server.recommender.Recommend(pb.RecommendRequest(subject={"user_id": user_id}, limit=10, **fields))


async def test_requests_count_by_method_and_code(server: Any) -> None:
    await recommend(server, "u00")
    await recommend(server, "u00")
    with pytest.raises(grpc.aio.AioRpcError):
        await server.recommender.Recommend(pb.RecommendRequest(subject={"user_id": "u00"}, limit=100_000))
    seen = await scrape(server.app)
    assert seen.value("audotics_requests_total", code="OK", **RECOMMEND) == 2
    assert seen.value("audotics_requests_total", code="INVALID_ARGUMENT", **RECOMMEND) == 1
    assert seen.value("audotics_request_duration_seconds_count", **RECOMMEND) == 3
    assert seen.value("audotics_cache_lookups_total", cache="process", outcome="hit") == 1
    assert seen.value("audotics_cache_lookups_total", cache="process", outcome="miss") == 1
    size_bytes = seen.value("audotics_cache_bytes", cache="process")
    assert size_bytes is not None
    assert size_bytes > 0
    assert seen.value("audotics_database_up") == 1
    memory_bytes = seen.value("process_resident_memory_bytes")
    assert memory_bytes is not None
    assert memory_bytes > 2**20


async def test_models_count_their_runs_and_say_which_versions_serve(
    server: Any, repository: Any, make_repository: Any
) -> None:
    before = await scrape(server.app)
    await recommend(server, "u00")
    after = await scrape(server.app)
    for model in ("ncf", "hybrid", "collaborative"):
        runs = [seen.value("audotics_model_runs_total", model=model, version="1") for seen in (before, after)]
        assert runs[1] == (runs[0] or 0) + 1, model
        assert after.value("audotics_model_run_failures_total", model=model, version="1") == 0
    assert after.value("audotics_batcher_alone_total", batcher="recommend") == 1

    make_repository(repository.path)
    shutil.copytree(repository.path / "content" / "2", repository.path / "content" / "3")
    await server.models.LoadVersion(model_pb.LoadVersionRequest(name="hybrid", version=2))
    with pytest.raises(grpc.aio.AioRpcError):
        await server.models.LoadVersion(model_pb.LoadVersionRequest(name="content", version=3))
    seen = await scrape(server.app)
    assert seen.value("audotics_model_in_service", model="content", version="2") == 1
    assert seen.value("audotics_model_in_service", model="content", version="1") == 0
    assert seen.value("audotics_model_loaded", model="content", version="1") == 1
    assert seen.value("audotics_model_loaded", model="content", version="3") is None
    assert seen.value("audotics_model_versions_refused") == 1
    assert seen.value("audotics_catalog_tracks") == 200


async def test_inference_counts_answers_failures_and_batches(server: Any) -> None:
    infer = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

    def asking(track: int) -> bytes:
        request: Any = inference_pb2.ModelInferRequest(model_name="ncf")
        for name, array in {"history": [[1, 2, 3]], "user_index": [0, 0], "track": [4, track]}.items():
            values = np.asarray(array)
            request.inputs.add(name=name, datatype="INT64", shape=values.shape)
            request.raw_input_contents.append(values.tobytes())
        data: bytes = request.SerializeToString()
        return data

    await asyncio.gather(*(infer(asking(5)) for _ in range(16)))
    with pytest.raises(grpc.aio.AioRpcError):
        await infer(asking(10**6))
    seen = await scrape(server.app)
    of = {"model": "ncf", "version": "1"}
    assert seen.value("audotics_inference_requests_total", outcome="answered", **of) == 16
    assert seen.value("audotics_inference_requests_total", outcome="failed", **of) == 1
    assert seen.value("audotics_model_run_failures_total", **of) == 1
    jobs = seen.value("audotics_batch_jobs_total", batcher="infer")
    alone = seen.value("audotics_batcher_alone_total", batcher="infer")
    assert jobs is not None
    assert alone is not None
    assert jobs + alone == 17
    assert seen.value("audotics_batch_rows_sum", batcher="infer") == 2 * jobs
    assert seen.value("audotics_batcher_waiting_rows", batcher="infer") == 0


async def test_indexes_say_what_they_hold_and_how_much_they_find(server: Any) -> None:
    tracks = [track_pb2.Track(track_id=f"new{number}", title="New") for number in range(3)]
    await server.catalog.UpsertTracks(catalog_pb.UpsertTracksRequest(tracks=tracks))
    await server.catalog.DeleteTracks(catalog_pb.DeleteTracksRequest(track_ids=["t003"]))
    content = {"model": "content", "version": "1"}
    before = await scrape(server.app)
    assert before.value("audotics_index_delta_rows", **content) == 3
    assert before.value("audotics_index_tombstones", **content) == 1
    assert before.value("audotics_index_rows", **content) == 202
    assert before.value("audotics_index_recall", **content) is None
    await server.recommender.SimilarTracks(pb.SimilarTracksRequest(track_id="t001", limit=5))
    seen = await scrape_until(server.app, lambda seen: seen.value("audotics_index_recall_window", **content) == 1)
    report = await server.models.GetRecallReport(model_pb.GetRecallReportRequest())
    (reported,) = [each for each in report.indexes if each.name == "content"]
    assert seen.value("audotics_index_recall", **content) == pytest.approx(reported.live)
    assert seen.value("audotics_index_searches_total") == (before.value("audotics_index_searches_total") or 0) + 1
    assert seen.value("audotics_index_recall_samples_total") == 1
    assert seen.value("audotics_index_device_fallbacks_total") == 0
    assert seen.value("audotics_index_on_gpu", **content) == 0
    await server.models.RebuildIndex(model_pb.RebuildIndexRequest(name="content"))
    seen = await scrape(server.app)
    assert seen.value("audotics_index_compactions_total") == 1
    assert seen.value("audotics_index_delta_rows", **content) == 0


@pytest.mark.skipif(gpu_count() > 0, reason="FAISS sees a GPU, so nothing falls back")
async def test_a_gpu_that_is_not_there_is_counted_and_the_cpu_serves(
    start: Any, repository: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with start(repository.path, http_port=0, retrieval_device="cuda") as server:
            assert len((await recommend(server, "u00")).tracks) == 10
            seen = await scrape(server.app)
    assert seen.value("audotics_index_device_fallbacks_total") == 2
    assert seen.value("audotics_index_on_gpu", model="content", version="1") == 0
    lines = [record.getMessage() for record in caplog.records if "is searched on the CPU" in record.getMessage()]
    assert len(lines) == 2
    assert all("no GPU for FAISS" in line for line in lines)


class Full:
    """A device that takes vectors and has no room left to search them."""

    def __init__(self, stored: StoredIndex) -> None:
        self.size = stored.size

    def search(self, *_: Any, **__: Any) -> Any:
        raise DeviceError("out of memory on device 0")

    def close(self) -> None:
        pass


async def test_a_device_out_of_memory_is_counted_and_the_cpu_serves(
    repository: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def value(name: str, **labels: str) -> float:
        (found,) = [
            sample.value
            for family in read_indexes(service)
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]
        return found

    with ThreadPoolExecutor(1) as executor, IndexOpener() as indexes:
        async with Uninterrupted() as uninterrupted:
            indexes.place = lambda stored: WithFallback(stored, (Full,), counters=indexes.counters)
            async with Registry(repository.store, executor=executor, indexes=indexes) as registry:
                await registry.start()
                service = IndexService(
                    registry=registry, indexes=indexes, executor=executor, uninterrupted=uninterrupted
                )
                content = {"model": "content", "version": "1"}
                index = next(status.index for status in registry.indexes() if status.name == "content")
                assert (value("audotics_index_on_gpu", **content), value("audotics_index_device_fallbacks_total")) == (
                    1,
                    0,
                )
                with caplog.at_level(logging.WARNING):
                    _, rows = index.search(index.vectors(np.asarray([5])), 3)
                assert len(rows[0]) == 3
                assert (value("audotics_index_on_gpu", **content), value("audotics_index_device_fallbacks_total")) == (
                    0,
                    1,
                )
    assert caplog.text.count("out of memory on device 0") == 1


async def test_events_count_by_what_became_of_them_and_watchers_while_they_watch(server: Any) -> None:
    watched = pb.RecommendRequest(subject={"user_id": "u00"}, limit=5)
    stream = server.recommender.WatchRecommendations(pb.WatchRecommendationsRequest(recommend=watched))
    await stream.read()
    of = {"service": "audotics.v1.RecommenderService", "method": "WatchRecommendations"}
    seen = await scrape(server.app)
    assert (seen.value("audotics_watchers"), seen.value("audotics_streams_open", **of)) == (1, 1)
    stream.cancel()
    seen = await scrape_until(server.app, lambda seen: seen.value("audotics_watchers") == 0)
    assert seen.value("audotics_streams_open", **of) == 0
    assert seen.value("audotics_requests_total", code="CANCELLED", **of) == 1
    assert seen.value("audotics_stream_messages_total", direction="sent", **of) == 1

    events = [
        feedback_pb.FeedbackEvent(event_id=event_id, user_id="u01", track_id=track_id, type=feedback_pb.EVENT_TYPE_LIKE)
        for event_id, track_id in (("a", "t001"), ("b", "t002"), ("a", "t001"), ("c", "unknown"))
    ]
    await server.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(events=events))
    seen = await scrape(server.app)
    became = [
        seen.value("audotics_feedback_events_total", status=status) for status in ("accepted", "duplicate", "rejected")
    ]
    assert became == [2, 1, 1]
    assert seen.value("audotics_feedback_waiting_events") == 0
    seen = await scrape_until(server.app, lambda seen: seen.value("audotics_receipts_waiting") == 0)
    assert seen.value("audotics_receipts_lost_total") == 0


async def test_arms_count_the_requests_that_they_answer(server: Any) -> None:
    plan = experiment_pb.Experiment(
        name="variety",
        arms=[{"name": "control"}, {"name": "varied", "diversity": 0.9}],
        window={"seconds": 60},
        overrides={"u00": "varied"},
    )
    await server.experiments.CreateExperiment(experiment_pb.CreateExperimentRequest(experiment=plan))
    await recommend(server, "u00")
    await recommend(server, "u00")
    seen = await scrape(server.app)
    assert seen.value("audotics_experiment_exposures_total", experiment="variety", arm="varied") == 2
    assert seen.value("audotics_experiments_running") == 1


async def test_the_shadow_says_how_much_its_lists_overlap(start: Any, repository: Any, make_repository: Any) -> None:
    make_repository(repository.path, kinds=("ncf",))
    async with start(repository.path, http_port=0, shadow_share=1.0, version_policy="all") as server:
        assert (await scrape(server.app)).value("audotics_shadow_requests") is None
        await server.models.SetLabel(model_pb.SetLabelRequest(name="ncf", label="shadow", version=2))
        await recommend(server, "u00")
        seen = await scrape_until(server.app, lambda seen: seen.value("audotics_shadow_requests") == 1)
        overlap = seen.value("audotics_shadow_overlap")
        assert overlap is not None
        assert 0 < overlap <= 1


async def test_redis_that_goes_away_is_counted_and_up_follows_it(
    start: Any, repository: Any, redis: RedisServer
) -> None:
    async with start(repository.path, http_port=0, cache_url=redis.url) as server:
        await recommend(server, "u00")
        seen = await scrape(server.app)
        assert seen.value("audotics_cache_up", cache="redis") == 1
        assert seen.value("audotics_cache_lookups_total", cache="redis", outcome="miss") == 1
        await asyncio.to_thread(redis.kill)
        await recommend(server, "u01")
        seen = await scrape(server.app)
        assert seen.value("audotics_cache_up", cache="redis") == 0
        assert seen.value("audotics_cache_outages_total", cache="redis") == 1
        errors = seen.value("audotics_cache_errors_total", cache="redis")
        assert errors is not None
        assert errors >= 1
        await asyncio.to_thread(redis.start)
        await scrape_until(server.app, lambda seen: seen.value("audotics_cache_up", cache="redis") == 1)
