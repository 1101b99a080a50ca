"""A server in front of another one: models that lie there are called, missed when they are gone, and found again."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.v1 import model_service_pb2, recommender_service_pb2
from tests.far_server import far_server
from tests.mixed_model import write_mixed_model
from tests.scraping import scrape

Start = Callable[..., AbstractAsyncContextManager[Any]]
INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def far_repository(tmp_path_factory: pytest.TempPathFactory, repository_template: Any) -> Path:
    return repository_template.path


def front(repository: Any, address: str, runtime: str = "v2", **more: Any) -> None:
    """Let `ncf` of the repository lie on another server."""
    choice = {"runtime": runtime, "address": address, "timeout_s": 20} | more
    (repository.path / "ncf" / "runtime.json").write_text(json.dumps(choice))


def ask(tracks: list[int]) -> Any:
    request = pb.ModelInferRequest(model_name="ncf")
    feeds = {"history": np.asarray([[0, 4]]), "user_index": np.zeros(len(tracks), np.int64), "track": np.array(tracks)}
    for name, array in feeds.items():
        request.inputs.add(name=name, datatype="INT64", shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    return request.SerializeToString()


async def logits(server: Any, tracks: list[int]) -> list[float]:
    answer = pb.ModelInferResponse.FromString(await server.channel.unary_unary(INFER)(ask(tracks)))
    return np.frombuffer(answer.raw_output_contents[0], np.float32).tolist()


async def loaded(server: Any) -> None:
    """Have `ncf` loaded. A channel that found nobody connects anew after a moment only."""
    while True:
        try:
            await server.models.LoadVersion(model_service_pb2.LoadVersionRequest(name="ncf", version=1))
        except grpc.aio.AioRpcError as error:
            if "does not answer (UNAVAILABLE)" not in str(error.details()):
                raise
        else:
            return


def recommend(user_id: str = "u01") -> Any:
    subject = recommender_service_pb2.Subject(user_id=user_id)
    return recommender_service_pb2.RecommendRequest(subject=subject, limit=5)


@pytest.mark.parametrize("runtime", ["v2", "tensorflow_serving"])
async def test_lists_and_inferences_are_those_of_a_model_at_home(
    runtime: str, start: Start, repository: Any, far_repository: Path, tmp_path: Path
) -> None:
    async with start(repository.path) as at_home:
        expected = await logits(at_home, [8, 1, 3])
        listed = await at_home.recommender.Recommend(recommend())
    with far_server(far_repository, tmp_path / "far") as address:
        front(repository, address, runtime)
        async with start(repository.path) as server:
            assert await logits(server, [8, 1, 3]) == pytest.approx(expected)
            answer = await server.recommender.Recommend(recommend())
            assert not answer.degraded
            assert [each.track_id for each in answer.tracks] == [each.track_id for each in listed.tracks]
            with pytest.raises(grpc.aio.AioRpcError, match="a value may be outside its range") as failure:
                await logits(server, [10**6])
            assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("runtime", ["v2", "tensorflow_serving"])
async def test_requests_under_way_together_share_calls_and_get_their_own_rows(
    runtime: str, start: Start, repository: Any, far_repository: Path, tmp_path: Path
) -> None:
    asked = [list(range(number, number + 1 + number % 5)) for number in range(40)]
    async with start(repository.path) as at_home:
        expected = [await logits(at_home, tracks) for tracks in asked]
    with far_server(far_repository, tmp_path / "far") as address:
        front(repository, address, runtime)
        async with start(repository.path, http_port=0, batch_window_ms=1000) as server:
            answers = await asyncio.gather(*(logits(server, tracks) for tracks in asked))
            for answer, truth in zip(answers, expected, strict=True):
                assert answer == pytest.approx(truth, rel=1e-5, abs=1e-6)
            with pytest.raises(grpc.aio.AioRpcError, match="a value may be outside its range"):
                await logits(server, [10**6])
            seen = await scrape(server.app)
    assert seen.value("audotics_batch_jobs_total", batcher="far") == 41
    calls = seen.value("audotics_batch_rows_count", batcher="far")
    assert calls is not None
    assert calls < 41


async def test_a_bundle_needs_no_file_of_a_model_that_lies_elsewhere(
    start: Start, repository: Any, far_repository: Path, tmp_path: Path, sign_again: Callable[..., None]
) -> None:
    (repository.path / "ncf" / "1" / "model.onnx").unlink()
    sign_again(repository.path / "ncf" / "1")
    with far_server(far_repository, tmp_path / "far") as address:
        front(repository, address, model="ncf", version="serving")
        async with start(repository.path) as server:
            assert len(await logits(server, [8, 1, 3])) == 3
        front(repository, address, model="nothing")
        async with start(repository.path) as server:
            version = (await server.models.GetModel(model_service_pb2.GetModelRequest(name="ncf"))).model.versions[0]
            assert "does not answer (NOT_FOUND)" in version.reason


@pytest.mark.parametrize("runtime", ["v2", "tensorflow_serving"])
async def test_texts_and_halves_go_through(runtime: str, start: Start, repository: Any, tmp_path: Path) -> None:
    write_mixed_model(repository.store)
    far = shutil.copytree(repository.path, tmp_path / "far-repository")
    with far_server(far, tmp_path / "far") as address:
        choice = {"runtime": runtime, "address": address, "timeout_s": 20}
        (repository.path / "mixed" / "runtime.json").write_text(json.dumps(choice))
        async with start(repository.path) as server:
            version = (await server.models.GetModel(model_service_pb2.GetModelRequest(name="mixed"))).model.versions[0]
            assert version.state == model_service_pb2.VERSION_STATE_IN_SERVICE, version.reason
            metadata = server.channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata")
            answer = await metadata(pb.ModelMetadataRequest(name="mixed").SerializeToString())
            described = pb.ModelMetadataResponse.FromString(answer)
            assert sorted(tensor.datatype for tensor in described.inputs) == ["BYTES", "FP16", "INT64"]


async def test_a_server_that_ends_is_missed_and_found_again(
    start: Start, repository: Any, far_repository: Path, tmp_path: Path
) -> None:
    with far_server(far_repository, tmp_path / "far") as address:
        front(repository, address, attempts=1)
        async with start(repository.path) as server:
            expected = await logits(server, [8, 1])
    async with start(repository.path, repository_poll_s=0) as server:
        # Away at the start: its model is missing, with the reason, and so is what was trained with it.
        (version,) = (await server.models.GetModel(model_service_pb2.GetModelRequest(name="ncf"))).model.versions
        assert "does not answer" in version.reason
        assert version.reason.endswith("it is tried again")
        answer = await server.recommender.Recommend(recommend())
        assert "ncf" in {each.part for each in answer.degraded}
        port = int(address.rsplit(":", 1)[1])
        with far_server(far_repository, tmp_path / "far", port=port):
            await loaded(server)
            assert await logits(server, [8, 1]) == pytest.approx(expected)
        for _ in range(6):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await logits(server, [8, 1])
            assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "its server failed several times in a row; it is called again in" in failure.value.details()
        assert address not in failure.value.details()  # which is the operators' business
        answer = await server.recommender.Recommend(recommend("u02"))
        assert len(answer.tracks) == 5
        assert "ncf" in {each.part for each in answer.degraded}


async def test_the_folder_is_followed_until_the_other_server_is_there(
    start: Start, repository: Any, far_repository: Path, tmp_path: Path
) -> None:
    with far_server(far_repository, tmp_path / "far") as address:
        pass
    front(repository, address)
    async with start(repository.path, repository_poll_s=0.05) as server:
        with pytest.raises(grpc.aio.AioRpcError):
            await logits(server, [1])
        with far_server(far_repository, tmp_path / "far", port=int(address.rsplit(":", 1)[1])):
            watch = server.channel.unary_stream(
                "/grpc.health.v1.Health/Watch",
                request_serializer=lambda message: message,
            )(b"\n\x12audotics.model.ncf")
            async for state in watch:  # b"\x08\x01" is SERVING
                if state == b"\x08\x01":
                    break
            assert len(await logits(server, [8, 1])) == 2
            watch.cancel()


async def test_a_file_that_cannot_be_read_keeps_its_model_out(start: Start, repository: Any) -> None:
    (repository.path / "ncf" / "runtime.json").write_text('{"runtime": "abacus"}')
    async with start(repository.path) as server:
        status = await server.models.GetModel(model_service_pb2.GetModelRequest(name="ncf"))
        assert "runtime.json names the runtime 'abacus'; there are onnx" in status.model.versions[0].reason
