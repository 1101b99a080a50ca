"""Models of several tenants in one server: each gets its own, nobody another's, and what is not theirs stays."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import onnx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from onnx import numpy_helper

from audotics.server.transport.compat.stubs import inference_pb2 as v2
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as tfs
from audotics.v1 import model_service_pb2 as model_pb

Start = Callable[..., AbstractAsyncContextManager[Any]]
SERVICE = "/inference.GRPCInferenceService"


def give(repository: Any, tenant: str, *, factor: float, kind: str = "ncf") -> int:
    """Publish the next version of a tenant's own model, whose logits are `factor` squared times those of `ncf`."""
    store, name = repository.store, f"{tenant}--{kind}"
    bundle = store.open(kind, 1)
    version: int = store.next_version(name)
    with store.write(replace(bundle.manifest, name=name, version=version, files={})) as folder:
        for file in bundle.manifest.files:
            shutil.copy(bundle.path / file, folder / file)
        model = onnx.load(folder / "model.onnx")
        for tensor in model.graph.initializer:
            if tensor.name == "table":
                table = numpy_helper.to_array(tensor) * np.float32(factor)
                tensor.CopyFrom(numpy_helper.from_array(table, "table"))
        onnx.save(model, folder / "model.onnx")
    return version


def as_tenant(tenant: str) -> tuple[tuple[str, str], ...]:
    return (("audotics-tenant", tenant),) if tenant else ()


class Client:
    """Calls of one tenant."""

    def __init__(self, server: Any, tenant: str = "") -> None:
        self._channel, self._metadata = server.channel, as_tenant(tenant)

    async def call(self, method: str, request: Any, answer: Any) -> Any:
        behaviour = self._channel.unary_unary(method, type(request).SerializeToString, answer.FromString)
        return await behaviour(request, metadata=self._metadata)

    async def infer(self, feeds: dict[str, Any], model: str = "ncf", version: str = "") -> tuple[str, list[float]]:
        """The name of the model that answered, and its logits."""
        request = v2.ModelInferRequest(model_name=model, model_version=version)
        for name, array in feeds.items():
            request.inputs.add(name=name, datatype="INT64", shape=array.shape)
            request.raw_input_contents.append(array.tobytes())
        answer = await self.call(f"{SERVICE}/ModelInfer", request, v2.ModelInferResponse)
        return answer.model_name, np.frombuffer(answer.raw_output_contents[0], np.float32).tolist()

    async def names(self) -> set[str]:
        request = v2.RepositoryIndexRequest()
        answer = await self.call(f"{SERVICE}/RepositoryIndex", request, v2.RepositoryIndexResponse)
        return {model.name for model in answer.models}


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    code: grpc.StatusCode = failure.value.code()
    return code


async def test_each_tenant_is_answered_by_its_own_model(start: Start, repository: Any, feeds: Any) -> None:
    give(repository, "acme", factor=2)
    give(repository, "beta", factor=3)
    given = feeds("ncf", rows=5)
    async with start(repository.path) as server:
        name, shared = await Client(server).infer(given)
        assert name == "ncf"
        expected = {"": ("ncf", 1), "acme": ("acme--ncf", 4), "beta": ("beta--ncf", 9), "ACME": ("ncf", 1)}
        tenants = list(expected) * 8
        # The same bytes at the same time: neither joined runs nor remembered layouts may mix them up.
        answers = await asyncio.gather(*(Client(server, tenant).infer(given) for tenant in tenants))
        for tenant, (answered, logits) in zip(tenants, answers, strict=True):
            assert answered == expected[tenant][0]
            np.testing.assert_allclose(logits, np.multiply(shared, expected[tenant][1]), rtol=1e-4, atol=1e-5)

        for tenant, (model, _) in expected.items():
            request = tfs.GetModelStatusRequest()
            request.model_spec.name = "ncf"
            client = Client(server, tenant)
            status = "/tensorflow.serving.ModelService/GetModelStatus"
            assert (await client.call(status, request, tfs.GetModelStatusResponse)).model_version_status[0].state == 30
            predict = tfs.PredictRequest()
            predict.model_spec.name = "ncf"
            for key, array in given.items():
                predict.inputs[key].dtype = 9
                predict.inputs[key].tensor_content = array.tobytes()
                for size in array.shape:
                    predict.inputs[key].tensor_shape.dim.add(size=size)
            method = "/tensorflow.serving.PredictionService/Predict"
            assert (await client.call(method, predict, tfs.PredictResponse)).model_spec.name == model


async def test_another_tenants_model_does_not_exist(start: Start, repository: Any, feeds: Any) -> None:
    give(repository, "acme", factor=2)
    given = feeds("ncf")
    async with start(repository.path) as server:
        operator, acme, beta = Client(server), Client(server, "acme"), Client(server, "beta")
        assert "acme--ncf" in await operator.names()
        assert "acme--ncf" in await acme.names()
        assert await beta.names() == set(await operator.names()) - {"acme--ncf"}
        assert (await operator.infer(given, "acme--ncf"))[0] == (await acme.infer(given, "acme--ncf"))[0] == "acme--ncf"
        assert await code_of(beta.infer(given, "acme--ncf")) is grpc.StatusCode.NOT_FOUND
        assert await code_of(Client(server, "acme--ncf").infer(given, "acme--ncf")) is grpc.StatusCode.NOT_FOUND
        load = v2.RepositoryModelLoadRequest(model_name="nothing")
        loading = beta.call(f"{SERVICE}/RepositoryModelLoad", load, v2.RepositoryModelLoadResponse)
        for call in (beta.infer(given, "nothing"), beta.infer(given, version="7"), loading):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await call
            assert "acme" not in str(failure.value)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await beta.infer(given, "acme--ncf")
        assert failure.value.details() == "Request for unknown model: 'acme--ncf' is not found"
        for method, kind, answer in (
            ("ModelMetadata", v2.ModelMetadataRequest, v2.ModelMetadataResponse),
            ("ModelConfig", v2.ModelConfigRequest, v2.ModelConfigResponse),
            ("ModelStatistics", v2.ModelStatisticsRequest, v2.ModelStatisticsResponse),
        ):
            call = beta.call(f"{SERVICE}/{method}", kind(name="acme--ncf"), answer)
            assert await code_of(call) is grpc.StatusCode.NOT_FOUND
        ready = v2.ModelReadyRequest(name="acme--ncf")
        assert not (await beta.call(f"{SERVICE}/ModelReady", ready, v2.ModelReadyResponse)).ready
        statistics = await beta.call(
            f"{SERVICE}/ModelStatistics", v2.ModelStatisticsRequest(), v2.ModelStatisticsResponse
        )
        assert "acme--ncf" not in {each.name for each in statistics.model_stats}


async def test_a_tenant_administers_only_what_is_its_own(start: Start, repository: Any, feeds: Any) -> None:
    give(repository, "acme", factor=2)
    given = feeds("ncf")
    async with start(repository.path) as server:
        acme, beta = Client(server, "acme"), Client(server, "beta")
        unload, unloaded = f"{SERVICE}/RepositoryModelUnload", v2.RepositoryModelUnloadResponse
        for client, name in ((beta, "ncf"), (beta, "acme--ncf"), (acme, "content")):
            call = client.call(unload, v2.RepositoryModelUnloadRequest(model_name=name), unloaded)
            assert await code_of(call) is grpc.StatusCode.NOT_FOUND
        await acme.call(unload, v2.RepositoryModelUnloadRequest(model_name="ncf"), unloaded)
        # It is not answered by the model that all share instead.
        assert await code_of(acme.infer(given)) is grpc.StatusCode.UNAVAILABLE
        assert (await beta.infer(given))[0] == "ncf"
        load = v2.RepositoryModelLoadRequest(model_name="ncf")
        await acme.call(f"{SERVICE}/RepositoryModelLoad", load, v2.RepositoryModelLoadResponse)
        assert (await acme.infer(given))[0] == "acme--ncf"

        give(repository, "acme", factor=5)
        config = tfs.ReloadConfigRequest()
        config.config.model_config_list.config.add(name="ncf").version_labels["canary"] = 2
        method = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
        await acme.call(method, config, tfs.ReloadConfigResponse)
        assert json.loads((repository.path / "acme--ncf" / "labels.json").read_text()) == {"canary": 2}
        assert not (repository.path / "ncf" / "labels.json").exists()
        (_, first), (_, canary) = await acme.infer(given, version="1"), await acme.infer(given, version="canary")
        np.testing.assert_allclose(canary, np.multiply(first, 6.25), rtol=1e-4, atol=1e-5)
        assert await code_of(beta.infer(given, version="canary")) is grpc.StatusCode.NOT_FOUND


async def test_a_refused_model_of_a_tenant_is_not_replaced_by_the_shared_one(
    start: Start, repository: Any, feeds: Any
) -> None:
    give(repository, "acme", factor=2)
    path = repository.path / "acme--ncf" / "1" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    async with start(repository.path) as server:
        assert await code_of(Client(server, "acme").infer(feeds("ncf"))) is grpc.StatusCode.UNAVAILABLE
        assert (await Client(server, "beta").infer(feeds("ncf")))[0] == "ncf"


async def test_a_tenants_models_make_no_lists_and_have_a_budget(start: Start, repository: Any, feeds: Any) -> None:
    give(repository, "acme", factor=2, kind="hybrid")
    for factor in (2, 3, 4):
        give(repository, "acme", factor=factor)
    give(repository, "beta", factor=2)
    files = repository.store.open("acme--ncf", 1).manifest.files
    own = repository.store.open("acme--hybrid", 1).manifest.files
    sizes = [sum(each[name].size_bytes for name in ("model.onnx", "warmup.npz")) for each in (files, own)]
    budget = (2.5 * sizes[0] + sizes[1]) / 2**20
    async with start(
        repository.path, version_policies={"acme--ncf": "all"}, tenant_memory_mib={"acme": budget}
    ) as server:
        assert server.app.models == (("collaborative", 1), ("content", 1), ("hybrid", 1), ("ncf", 1))
        given = feeds("ncf")
        acme = Client(server, "acme")
        assert await code_of(acme.infer(given, version="2")) is grpc.StatusCode.NOT_FOUND  # loaded before 1
        for version in ("1", "3"):
            assert (await acme.infer(given, version=version))[0] == "acme--ncf"
        assert (await Client(server, "beta").infer(given))[0] == "beta--ncf"


async def test_a_tenant_has_no_catalogue(start: Start, repository: Any) -> None:
    give(repository, "acme", factor=2)
    store = repository.store
    bundle = store.open("catalog", 1)
    with store.write(replace(bundle.manifest, name="acme--catalog", version=1, files={})) as folder:
        for file in bundle.manifest.files:
            shutil.copy(bundle.path / file, folder / file)
    async with start(repository.path) as server:
        status = (await server.models.GetModel(model_pb.GetModelRequest(name="acme--catalog"))).model.versions[0]
        assert status.state == model_pb.VERSION_STATE_REFUSED
        assert "tenants have no catalogue of their own" in status.reason
        assert server.app.track_count == 200


class Administration:
    """`audotics.v1.ModelService` and health, as one tenant calls them."""

    def __init__(self, server: Any, tenant: str) -> None:
        self._models, self._metadata = server.models, as_tenant(tenant)
        self._health = health_pb2_grpc.HealthStub(server.channel)

    async def call(self, method: str, **fields: Any) -> Any:
        request = getattr(model_pb, f"{method}Request")(**fields)
        return await getattr(self._models, method)(request, metadata=self._metadata)

    async def health(self, model: str) -> Any:
        request = health_pb2.HealthCheckRequest(service=f"audotics.model.{model}")
        return (await self._health.Check(request, metadata=self._metadata)).status

    def watch(self, model: str) -> Any:
        request = health_pb2.HealthCheckRequest(service=f"audotics.model.{model}")
        return self._health.Watch(request, metadata=self._metadata)


async def test_administration_knows_tenants_too(start: Start, repository: Any) -> None:
    for _ in range(2):
        give(repository, "acme", factor=2)
    give(repository, "beta", factor=3)
    async with start(repository.path) as server:
        operator, acme, beta = (Administration(server, tenant) for tenant in ("", "acme", "beta"))
        names = {each.name for each in (await operator.call("ListModels")).models}
        assert names > {"acme--ncf", "beta--ncf", "ncf"}
        assert {each.name for each in (await beta.call("ListModels")).models} == names - {"acme--ncf"}
        for client, name in ((operator, "ncf"), (acme, "acme--ncf"), (beta, "beta--ncf")):
            assert (await client.call("GetModel", name="ncf")).model.name == name
        for method, fields in {
            "GetModel": {},
            "LoadVersion": {"version": 1},
            "UnloadVersion": {"version": 1},
            "SetLabel": {"label": "canary", "version": 1},
            "Rollback": {},
            "RebuildIndex": {},
            "ListModelRecords": {"model": "acme--ncf"},
        }.items():
            asked = fields if "model" in fields else fields | {"name": "acme--ncf"}
            assert await code_of(beta.call(method, **asked)) is grpc.StatusCode.NOT_FOUND
            if method not in ("GetModel", "ListModelRecords"):  # and what all share is not theirs to change
                assert await code_of(beta.call(method, **fields, name="content")) is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await beta.call("GetModel", name="nothing")
        assert "acme" not in failure.value.details()

        label = {"name": "ncf", "label": "canary", "version": 1}
        assert (await acme.call("SetLabel", **label)).model.labels == {"canary": 1}
        assert (await acme.call("LoadVersion", name="ncf", version=1)).model.name == "acme--ncf"
        assert (await acme.call("Rollback", name="acme--ncf")).model.labels["stable"] == 2
        assert not (repository.path / "ncf" / "labels.json").exists()

        assert await acme.health("acme--ncf") == await acme.health("ncf") == health_pb2.HealthCheckResponse.SERVING
        assert await code_of(beta.health("acme--ncf")) is grpc.StatusCode.NOT_FOUND
        assert (await beta.watch("acme--ncf").read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        await beta.call("UnloadVersion", name="ncf", version=1)
        assert await beta.health("ncf") == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await beta.watch("ncf").read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await operator.health("ncf") == health_pb2.HealthCheckResponse.SERVING
        assert await code_of(Administration(server, "a" * 65).health("ncf")) is grpc.StatusCode.INVALID_ARGUMENT
        assert await code_of(Administration(server, "a" * 65).watch("ncf").read()) is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_tenant_reads_what_happened_to_its_own_models_and_shared_ones(start: Start, repository: Any) -> None:
    give(repository, "acme", factor=2)
    give(repository, "acm_", factor=2)  # as a pattern of SQL it would be the other one
    async with start(repository.path) as server:
        await server.models.UnloadVersion(model_pb.UnloadVersionRequest(name="acme--ncf", version=1))
        while True:  # records are written beside what happens
            records = (await Administration(server, "").call("ListModelRecords")).records
            if any(record.event == model_pb.MODEL_EVENT_UNLOADED for record in records):
                break
        every = {record.model for record in records}
        for tenant, other in (("acme", "acm_--ncf"), ("acm_", "acme--ncf"), ("beta", "")):
            client = Administration(server, tenant)
            found = {record.model for record in (await client.call("ListModelRecords")).records}
            assert found == every - ({other} if other else {"acme--ncf", "acm_--ncf"})
        of_ncf = (await Administration(server, "acme").call("ListModelRecords", model="ncf")).records
        assert {record.model for record in of_ncf} == {"acme--ncf"}
