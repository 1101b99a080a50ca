"""`ListModelRecords` over a real channel: who changed what serves, on every server of a database."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from audotics.server.transport.compat.stubs import inference_pb2, tensorflow_serving_pb2
from audotics.v1 import experiment_service_pb2 as experiment_pb
from audotics.v1 import model_service_pb2 as pb
from audotics.v1 import recommender_service_pb2 as recommender_pb
from tests.postgres import Postgres, running_postgres
from tests.scraping import scrape_until

START, OPERATOR = pb.MODEL_EVENT_ORIGIN_START, pb.MODEL_EVENT_ORIGIN_OPERATOR
EXPERIMENT = pb.MODEL_EVENT_ORIGIN_EXPERIMENT


@pytest.fixture
async def server(start: Any, repository: Any) -> AsyncIterator[Any]:
    """It does not look at the repository by itself, so that a test's own calls come first."""
    async with start(repository.path, repository_poll_s=0) as running:
        yield running


async def recorded(server: Any, count: int, **query: Any) -> list[Any]:
    """The records of a query, oldest first, once there are so many, and the database answers."""
    while True:
        try:
            answer = await server.models.ListModelRecords(pb.ListModelRecordsRequest(page_size=1000, **query))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            continue
        if len(answer.records) >= count:
            return list(answer.records)[::-1]


def brief(records: Sequence[Any]) -> list[tuple[str, str]]:
    return [
        (pb.ModelEvent.Name(record.event).removeprefix("MODEL_EVENT_"), f"{record.model}/{record.version}")
        for record in records
    ]


async def test_what_an_operator_did_is_there_with_where_they_called_from(
    server: Any, repository: Any, make_repository: Any
) -> None:
    started = time.time()
    begun = await recorded(server, 5)
    assert brief(begun) == [
        ("IN_SERVICE", f"{model}/1") for model in ("catalog", "collaborative", "content", "hybrid", "ncf")
    ]
    assert {record.origin for record in begun} == {START}
    assert {record.server for record in begun} == {socket.gethostname()}
    assert {record.caller for record in begun} == {""}
    assert all(len(record.digest) == 64 for record in begun)

    make_repository(repository.path, kinds=("ncf",))
    await server.models.SetLabel(pb.SetLabelRequest(name="ncf", label="canary", version=2))
    (repository.path / "ncf" / "2" / "model.onnx").write_bytes(b"altered")
    await server.models.SetLabel(pb.SetLabelRequest(name="ncf", label="canary"))
    await server.models.UnloadVersion(pb.UnloadVersionRequest(name="ncf", version=2))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await server.models.LoadVersion(pb.LoadVersionRequest(name="ncf", version=2))
    done = (await recorded(server, 6, model="ncf"))[1:]
    assert brief(done) == [
        ("LOADED", "ncf/2"),
        ("LABELLED", "ncf/2"),
        ("UNLABELLED", "ncf/2"),
        ("UNLOADED", "ncf/2"),
        ("REFUSED", "ncf/2"),
    ]
    assert {(record.origin, record.caller) for record in done} == {(OPERATOR, "127.0.0.1")}
    assert [record.label for record in done] == ["", "canary", "canary", "", ""]
    assert done[-1].reason == refused.value.details()
    assert all(started - 60 < record.occurred_at.ToSeconds() <= time.time() for record in done)


async def test_promotions_rollbacks_and_gates_say_why(server: Any, repository: Any, make_repository: Any) -> None:
    make_repository(repository.path, kinds=("ncf", "collaborative", "content", "hybrid"))
    (repository.path / "golden.json").write_text('[{"user_id": "u00", "expected": ["t001"], "limit": 5}]')
    await server.models.SetLabel(pb.SetLabelRequest(name="hybrid", label="stable", version=1, force=True))
    with pytest.raises(grpc.aio.AioRpcError):
        await server.models.SetLabel(pb.SetLabelRequest(name="hybrid", label="stable", version=2))
    await server.models.SetLabel(pb.SetLabelRequest(name="hybrid", label="stable", version=2, force=True))
    await server.models.Rollback(pb.RollbackRequest(name="hybrid"))
    records = [record for record in await recorded(server, 8, model="hybrid") if record.origin == OPERATOR]
    ended = [
        ("IN_SERVICE", "hybrid/2"),
        ("LABELLED", "hybrid/2"),
        ("BACK_IN_SERVICE", "hybrid/1"),
        ("LABELLED", "hybrid/1"),
    ]
    assert brief(records)[-4:] == ended
    refused = next(record for record in records if record.event == pb.MODEL_EVENT_REFUSED)
    assert refused.version == 2
    assert "golden request 0 holds 0 of the expected tracks" in refused.reason
    forced, _, back, _ = records[-4:]
    assert (forced.reason, forced.replaced_version) == ("past the promotion gate", 1)
    assert (back.reason, back.replaced_version) == ("", 2)


async def test_a_promoted_arm_is_the_cause_of_what_serves(server: Any, repository: Any, make_repository: Any) -> None:
    make_repository(repository.path, kinds=("ncf", "collaborative", "content", "hybrid"))
    await server.models.SetLabel(pb.SetLabelRequest(name="hybrid", label="stable", version=1, force=True))
    await server.models.SetLabel(pb.SetLabelRequest(name="hybrid", label="next", version=2))
    plan = experiment_pb.Experiment(
        name="newer", arms=[{"name": "control"}, {"name": "newer", "models": {"label": "next"}}], window={"seconds": 60}
    )
    await server.experiments.CreateExperiment(experiment_pb.CreateExperimentRequest(experiment=plan))
    await server.experiments.PromoteArm(
        experiment_pb.PromoteArmRequest(name="newer", arm="newer", label="stable", force=True)
    )
    wanted: list[Any] = []
    while len(wanted) < 2:
        wanted = [record for record in await recorded(server, 1, model="hybrid") if record.origin == EXPERIMENT]
    assert brief(wanted) == [("IN_SERVICE", "hybrid/2"), ("LABELLED", "hybrid/2")]
    assert {record.reason for record in wanted} == {"arm 'newer' of 'newer' is promoted"}


async def test_other_protocols_leave_records_too(server: Any, repository: Any, make_repository: Any) -> None:
    make_repository(repository.path, kinds=("ncf",))
    load = server.channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelLoad")
    request: Any = inference_pb2.RepositoryModelLoadRequest(model_name="ncf")
    with pytest.raises(grpc.aio.AioRpcError):  # the hybrid in service was trained with another
        await load(request.SerializeToString())
    reload = server.channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
    config: Any = tensorflow_serving_pb2.ReloadConfigRequest()
    config.config.model_config_list.config.add(name="ncf").version_labels["canary"] = 1
    await reload(config.SerializeToString())
    records = (await recorded(server, 3, model="ncf"))[1:]
    assert brief(records) == [("REFUSED", "ncf/2"), ("LABELLED", "ncf/1")]
    assert {(record.origin, record.caller) for record in records} == {(OPERATOR, "127.0.0.1")}


async def test_pages_hold_each_record_once(server: Any) -> None:
    for version in (1, 0) * 4:
        await server.models.SetLabel(pb.SetLabelRequest(name="ncf", label="canary", version=version))
    whole = (await recorded(server, 13))[::-1]
    found: list[Any] = []
    request = pb.ListModelRecordsRequest(page_size=3)
    while True:
        answer = await server.models.ListModelRecords(request)
        found += answer.records
        if not answer.next_page_token:
            break
        assert len(answer.records) == 3
        request.page_token = answer.next_page_token
    assert found == whole
    middle = whole[6].occurred_at
    earlier = await server.models.ListModelRecords(pb.ListModelRecordsRequest(before=middle, page_size=1000))
    assert list(earlier.records) == [
        record for record in whole if record.occurred_at.ToNanoseconds() < middle.ToNanoseconds()
    ]


async def test_what_is_wrong_with_a_request_is_named(server: Any, details: Callable[..., list[Any]]) -> None:
    await recorded(server, 5)

    async def fields(**request: Any) -> list[str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.models.ListModelRecords(pb.ListModelRecordsRequest(**request))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        (bad,) = details(caught.value, error_details_pb2.BadRequest)
        return [violation.field for violation in bad.field_violations]

    assert await fields(model="n" * 257, page_size=1001) == ["model", "page_size"]
    assert await fields(page_size=-1, page_token="nonsense") == ["page_size", "page_token"]
    for broken in ("é", "AAAA", "e30=", "WzFd", "bnVsbA=="):
        assert await fields(page_token=broken) == ["page_token"], broken
    places = ("[]", "[1.0]", '["1.0", 1]', "[1, 1]", "[1.0, true]", "[NaN, 1]", "[1e999, 1]", f"[1.0, {2**63}]")
    for place in places:
        token = base64.urlsafe_b64encode(f'[["", ""], {place}]'.encode()).decode()
        assert await fields(page_token=token) == ["page_token"], place
    fine = base64.urlsafe_b64encode(b'[["", ""], [1e18, 1]]').decode()
    assert await server.models.ListModelRecords(pb.ListModelRecordsRequest(page_token=fine, page_size=2))
    first = await server.models.ListModelRecords(pb.ListModelRecordsRequest(page_size=1))
    assert await fields(page_token=first.next_page_token, model="ncf") == ["page_token"]
    assert await fields(page_token=first.next_page_token, before=Timestamp(seconds=1)) == ["page_token"]
    nobody = await server.models.ListModelRecords(pb.ListModelRecordsRequest(model="nobody"))
    assert (list(nobody.records), nobody.next_page_token) == ([], "")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


async def test_records_of_all_servers_outlast_them(
    start: Any, repository: Any, make_repository: Any, postgres: Postgres
) -> None:
    url = postgres.empty()
    async with (
        start(repository.path, server_name="one", database_url=url) as one,
        start(repository.path, server_name="two", database_url=url) as two,
    ):
        await recorded(one, 10)
        make_repository(repository.path, kinds=("ncf",))
        await one.models.SetLabel(pb.SetLabelRequest(name="ncf", label="canary", version=2))
        await recorded(two, 3 * 2, model="ncf")
    async with start(repository.path, server_name="three", database_url=url) as three:
        records = await recorded(three, 16)
        assert {record.server for record in records} == {"one", "two", "three"}


async def test_versions_change_while_the_database_is_away_and_are_recorded_later(
    start: Any, repository: Any, make_repository: Any, postgres: Postgres
) -> None:
    make_repository(repository.path)
    url = postgres.empty()
    async with start(repository.path, database_url=url, http_port=0, repository_poll_s=0) as server:
        await recorded(server, 5)
        await asyncio.to_thread(postgres.kill)
        await server.models.Rollback(pb.RollbackRequest(name="hybrid"))
        asked = recommender_pb.RecommendRequest(subject={"seed_tracks": {"track_ids": ["t000"]}}, limit=5)
        answer = await server.recommender.Recommend(asked)
        assert {version.model: version.version for version in answer.model_versions}["hybrid"] == 1
        seen = await scrape_until(server.app, lambda seen: seen.value("audotics_database_up") == 0)
        assert seen.value("audotics_model_records_waiting") == 5
        with pytest.raises(grpc.aio.AioRpcError) as away:
            await server.models.ListModelRecords(pb.ListModelRecordsRequest())
        assert away.value.code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.to_thread(postgres.start)
        records = await recorded(server, 3, model="hybrid")
        assert brief(records) == [("IN_SERVICE", "hybrid/2"), ("BACK_IN_SERVICE", "hybrid/1"), ("LABELLED", "hybrid/1")]
        seen = await scrape_until(server.app, lambda seen: seen.value("audotics_model_records_waiting") == 0)
        assert seen.value("audotics_model_records_lost_total") == 0


async def test_records_are_counted(start: Any, repository: Any) -> None:
    async with start(repository.path, http_port=0) as server:
        seen = await scrape_until(server.app, lambda seen: seen.value("audotics_model_records_written_total") == 5)
        assert seen.value("audotics_model_records_waiting") == 0
        assert seen.value("audotics_model_records_lost_total") == 0
