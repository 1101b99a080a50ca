"""`inference.GRPCInferenceService` with the client that people use for it: `tritonclient.grpc`, in all three ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from queue import Queue
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

grpcclient = pytest.importorskip("tritonclient.grpc", reason="needs the extra package tritonclient[grpc]")
aioclient = pytest.importorskip("tritonclient.grpc.aio")
from tritonclient.grpc import service_pb2, service_pb2_grpc  # noqa: E402
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # noqa: E402

Feeds = dict[str, NDArray[Any]]
MakeFeeds = Callable[..., Feeds]
Expected = Callable[[str, Feeds], Feeds]
MODELS = ("collaborative", "content", "ncf", "hybrid")


def inputs_of(feeds: Feeds) -> list[Any]:
    inputs = []
    for name, array in feeds.items():
        tensor = grpcclient.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def assert_same(result: Any, expected: Feeds) -> None:
    for name, array in expected.items():
        np.testing.assert_allclose(result.as_numpy(name), array, rtol=1e-5, atol=1e-6)


@pytest.fixture
async def client(server: Any) -> AsyncIterator[Any]:
    async with aioclient.InferenceServerClient(server.app.address) as client:
        yield client


@pytest.fixture
def sync(server: Any) -> Iterator[Callable[..., Any]]:
    """`await sync("method", …)`: a call of the blocking client, on a thread."""
    with grpcclient.InferenceServerClient(server.app.address) as blocking:

        async def call(method: str, *arguments: Any, **options: Any) -> Any:
            return await asyncio.to_thread(getattr(blocking, method), *arguments, **options)

        yield call


async def test_server_and_models_are_live_and_ready(client: Any) -> None:
    assert await client.is_server_live()
    assert await client.is_server_ready()
    for model in MODELS:
        assert await client.is_model_ready(model)
        assert await client.is_model_ready(model, "1")
    assert not await client.is_model_ready("ncf", "2")
    assert not await client.is_model_ready("nope")


@pytest.mark.parametrize("model", MODELS)
async def test_every_model_answers_as_its_file_does(
    model: str, client: Any, sync: Callable[..., Any], feeds: MakeFeeds, expected: Expected
) -> None:
    given = feeds(model)
    truth = expected(model, given)
    for result in (
        await client.infer(model, inputs_of(given), request_id="r-1"),
        await sync("infer", model, inputs_of(given), request_id="r-1", model_version="1"),
    ):
        assert_same(result, truth)
        answer = result.get_response()
        assert (answer.model_name, answer.model_version, answer.id) == (model, "1", "r-1")
        assert [output.name for output in answer.outputs] == list(truth)


async def test_only_the_outputs_that_are_asked_for_come_back(client: Any, feeds: MakeFeeds, expected: Expected) -> None:
    given = feeds("hybrid")
    outputs = [grpcclient.InferRequestedOutput(name) for name in ("confidence", "weights")]
    answer = await client.infer("hybrid", inputs_of(given), outputs=outputs)
    assert [output.name for output in answer.get_response().outputs] == ["confidence", "weights"]
    assert_same(answer, {name: expected("hybrid", given)[name] for name in ("confidence", "weights")})


async def test_a_compressed_request_is_answered(client: Any, feeds: MakeFeeds, expected: Expected) -> None:
    given = feeds("ncf", rows=300)
    assert_same(await client.infer("ncf", inputs_of(given), compression_algorithm="gzip"), expected("ncf", given))


@pytest.mark.parametrize("model", MODELS)
async def test_callers_who_come_together_get_their_own_rows(
    model: str, client: Any, feeds: MakeFeeds, expected: Expected
) -> None:
    given = [feeds(model, rows=1 + number % 7, seed=number) for number in range(60)]
    results = await asyncio.gather(*(client.infer(model, inputs_of(each)) for each in given))
    for result, each in zip(results, given, strict=True):
        assert_same(result, expected(model, each))
    (statistics,) = (await client.get_inference_statistics(model, as_json=True))["model_stats"]
    assert statistics["inference_count"] == "60"
    assert 1 <= int(statistics["execution_count"]) <= 60


async def test_a_request_larger_than_a_batch_is_answered_whole(
    start: Callable[..., Any], repository: Any, feeds: MakeFeeds, expected: Expected
) -> None:
    async with (
        start(repository.path, batch_rows=7) as running,
        aioclient.InferenceServerClient(running.app.address) as client,
    ):
        for model in MODELS:
            given = feeds(model, rows=50)
            assert_same(await client.infer(model, inputs_of(given)), expected(model, given))


async def test_a_stream_answers_in_order_and_outlives_errors(server: Any, feeds: MakeFeeds, expected: Expected) -> None:
    given = [feeds("ncf", rows=1 + number % 3, seed=number) for number in range(30)]
    answers: Queue[tuple[Any, Any]] = Queue()

    def stream() -> list[tuple[Any, Any]]:
        with grpcclient.InferenceServerClient(server.app.address) as client:
            client.start_stream(lambda result, error: answers.put((result, error)))
            for number, each in enumerate(given):
                wrong = number % 10 == 4
                tensors = inputs_of(each)[: 2 if wrong else 3]
                client.async_stream_infer("ncf", tensors, request_id=str(number))
            found = [answers.get(timeout=30) for _ in given]
            client.stop_stream()
        return found

    for number, (result, error) in enumerate(await asyncio.to_thread(stream)):
        if number % 10 == 4:
            assert "missing required input(s) ['track']" in str(error)
            assert f"[request id: {number}]" in str(error)
        else:
            assert error is None
            assert result.get_response().id == str(number)
            assert_same(result, expected("ncf", given[number]))


async def test_the_aio_stream_works_too(client: Any, feeds: MakeFeeds, expected: Expected) -> None:
    given = feeds("hybrid")

    async def requests() -> AsyncIterator[dict[str, Any]]:
        for number in range(3):
            yield {"model_name": "hybrid" if number != 1 else "nope", "inputs": inputs_of(given)}

    found = [pair async for pair in client.stream_infer(requests())]
    assert [error is None for _, error in found] == [True, False, True]
    # Readers of streams end at the answer that says that it is the last one.
    assert all(found[place][0].get_response().parameters["triton_final_response"].bool_param for place in (0, 2))
    assert "'nope'" in str(found[1][1])
    assert_same(found[2][0], expected("hybrid", given))


async def test_metadata_and_configuration_say_what_goes_in_and_out(client: Any) -> None:
    metadata = await client.get_model_metadata("ncf", as_json=True)
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("ncf", ["1"], "onnxruntime_onnx")
    assert metadata["inputs"] == [
        {"name": "history", "datatype": "INT64", "shape": ["-1", "-1"]},
        {"name": "user_index", "datatype": "INT64", "shape": ["-1"]},
        {"name": "track", "datatype": "INT64", "shape": ["-1"]},
    ]
    assert metadata["outputs"] == [{"name": "logit", "datatype": "FP32", "shape": ["-1"]}]
    config = (await client.get_model_config("ncf", as_json=True))["config"]
    assert config["input"][0] == {"name": "history", "data_type": "TYPE_INT64", "dims": ["-1", "-1"]}
    assert config["output"] == [{"name": "logit", "data_type": "TYPE_FP32", "dims": ["-1"]}]
    assert config["backend"] == "onnxruntime"
    (group,) = config["instance_group"]
    assert (group["kind"], "gpus" in group) == ("KIND_CPU", False)
    assert config["dynamic_batching"] == {"priority_levels": "3", "default_priority_level": "2"}
    server = await client.get_server_metadata(as_json=True)
    assert server["name"] == "audotics"
    assert "model_repository" in server["extensions"]


async def test_statistics_count_answers_and_failures(client: Any, feeds: MakeFeeds) -> None:
    given = feeds("hybrid")
    for _ in range(3):
        await client.infer("hybrid", inputs_of(given))
    with pytest.raises(InferenceServerException):
        await client.infer("hybrid", inputs_of(given)[:1])
    everything = (await client.get_inference_statistics(as_json=True))["model_stats"]
    assert {entry["name"] for entry in everything} == set(MODELS)
    (entry,) = [entry for entry in everything if entry["name"] == "hybrid"]
    assert entry["version"] == "1"
    stats = entry["inference_stats"]
    assert (stats["success"]["count"], stats["fail"]["count"]) == ("3", "1")
    assert 0 < int(stats["compute_infer"]["ns"]) <= int(stats["success"]["ns"])
    assert int(entry["last_inference"]) > 0


async def test_models_are_listed_loaded_and_unloaded(
    client: Any, repository: Any, make_repository: Callable[..., Any], feeds: MakeFeeds
) -> None:
    make_repository(repository.path, kinds=("ncf",))
    index = (await client.get_model_repository_index(as_json=True))["models"]
    assert [(entry["name"], entry["version"], entry["state"]) for entry in index if entry["name"] == "ncf"] == [
        ("ncf", "1", "READY"),
        ("ncf", "2", "UNAVAILABLE"),
    ]
    assert "catalog" not in {entry["name"] for entry in index}
    await client.unload_model("content")
    assert not await client.is_model_ready("content")
    with pytest.raises(InferenceServerException, match="content") as caught:
        await client.infer("content", inputs_of(feeds("content")))
    assert caught.value.status() == "StatusCode.UNAVAILABLE"
    await client.load_model("content")
    await client.infer("content", inputs_of(feeds("content")))
    with pytest.raises(InferenceServerException, match="config"):
        await client.load_model("content", config="{}")
    with pytest.raises(InferenceServerException, match="nope"):
        await client.load_model("nope")


async def test_a_model_with_a_label_is_not_unloaded_by_half(
    start: Callable[..., Any], repository: Any, make_repository: Callable[..., Any], feeds: MakeFeeds
) -> None:
    make_repository(repository.path, kinds=("collaborative", "content", "ncf"))
    repository.store.set_label("content", "canary", 1)
    async with (
        start(repository.path) as running,
        aioclient.InferenceServerClient(running.app.address) as client,
    ):
        assert await client.is_model_ready("content", "1")
        with pytest.raises(InferenceServerException, match="content/1 carries the label 'canary'") as caught:
            await client.unload_model("content")
        assert caught.value.status() == "StatusCode.FAILED_PRECONDITION"
        for version in ("", "1", "2"):
            assert await client.is_model_ready("content", version)
        await client.infer("content", inputs_of(feeds("content")))


async def test_there_is_one_repository_and_the_catalogue_is_no_model(server: Any, client: Any) -> None:
    for method, fields in {
        "RepositoryIndex": {},
        "RepositoryModelLoad": {"model_name": "content"},
        "RepositoryModelUnload": {"model_name": "content"},
    }.items():
        request = getattr(service_pb2, f"{method}Request")(repository_name="other", **fields)
        with pytest.raises(grpc.aio.AioRpcError, match="'repository_name' specification is not supported"):
            await getattr(service_pb2_grpc.GRPCInferenceServiceStub(server.channel), method)(request)
    assert await client.is_model_ready("content")
    for name in ("catalog", "nope"):
        for call in (client.get_inference_statistics, client.get_model_metadata, client.get_model_config):
            with pytest.raises(InferenceServerException, match=f"unknown model: '{name}' is not found") as caught:
                await call(name)
            assert caught.value.status() == "StatusCode.NOT_FOUND"


async def test_time_that_is_up_ends_a_request(client: Any, feeds: MakeFeeds) -> None:
    with pytest.raises(InferenceServerException) as caught:
        await client.infer("ncf", inputs_of(feeds("ncf")), client_timeout=1e-6)
    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    with pytest.raises(InferenceServerException, match="deadline") as caught:
        await client.infer("ncf", inputs_of(feeds("ncf")), timeout=1)
    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"
