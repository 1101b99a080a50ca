"""Several operators at once, while lists are made and versions appear: each is told how it ended, no list fails."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import grpc
import numpy as np
import onnxruntime
import pytest

from audotics.bundle.store import BundleStore
from audotics.server.transport.compat.stubs import inference_pb2 as v2
from audotics.v1 import model_service_pb2 as model_pb
from audotics.v1 import recommender_service_pb2 as pb

EXPECTED = {grpc.StatusCode.OK, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND}
"""How changes may end: one that does not go with how things stand is refused."""


async def operate(models: Any, *, seed: int, changes: int) -> Counter[grpc.StatusCode]:
    """Make changes that are drawn from `seed`; return how they ended."""
    draw = random.Random(seed)
    ended: Counter[grpc.StatusCode] = Counter()
    for _ in range(changes):
        name, version = draw.choice(["hybrid", "hybrid", "ncf", "content", "catalog"]), draw.choice([1, 2, 3])
        label = model_pb.SetLabelRequest(
            name=name, label=draw.choice(["stable", "canary", "shadow"]), version=draw.choice([0, version]), force=True
        )
        change, request = draw.choice(
            [
                (models.LoadVersion, model_pb.LoadVersionRequest(name=name, version=version)),
                (models.UnloadVersion, model_pb.UnloadVersionRequest(name=name, version=version)),
                (models.SetLabel, label),
                (models.Rollback, model_pb.RollbackRequest(name=name)),
            ]
        )
        try:
            await change(request)
        except grpc.aio.AioRpcError as error:
            ended[error.code()] += 1
        else:
            ended[grpc.StatusCode.OK] += 1
    return ended


async def listen(recommender: Any, user_id: str, *, until: asyncio.Event) -> int:
    lists = 0
    while not until.is_set():
        answer = await recommender.Recommend(pb.RecommendRequest(subject={"user_id": user_id}, limit=10))
        assert len(answer.tracks) == 10
        versions = {each.model: each.version for each in answer.model_versions}
        if "hybrid" in versions:
            assert {versions[kind] for kind in ("collaborative", "content", "ncf") if kind in versions} == {
                versions["hybrid"]
            }
        lists += 1
    return lists


@pytest.mark.parametrize("memory_mib", [None, 0.25])
async def test_operators_at_once_do_no_harm(start: Any, repository: Any, make_repository: Any, memory_mib: Any) -> None:
    make_repository(repository.path)
    settings = {"repository_poll_s": 0.05, "shadow_share": 1.0, "model_memory_mib": memory_mib}
    async with start(repository.path, **settings) as server:
        over = asyncio.Event()
        listening = [asyncio.create_task(listen(server.recommender, f"u{n:02d}", until=over)) for n in range(2)]
        operating = [asyncio.create_task(operate(server.models, seed=seed, changes=20)) for seed in range(4)]
        await asyncio.to_thread(make_repository, repository.path)  # a third version of everything, meanwhile
        ended = sum(await asyncio.gather(*operating), Counter())
        over.set()
        assert min(await asyncio.gather(*listening)) > 0
        assert ended.keys() <= EXPECTED
        assert ended[grpc.StatusCode.OK] > 10
        listed = await server.models.ListModels(model_pb.ListModelsRequest())
        for model in listed.models:
            on_disk = BundleStore(repository.path).labels(model.name)
            assert dict(model.labels) == on_disk
            serving = [v.version for v in model.versions if v.state == model_pb.VERSION_STATE_IN_SERVICE]
            assert len(serving) <= 1
            if model.name in ("hybrid", "catalog") and "stable" in on_disk:
                assert serving == [on_disk["stable"]]


async def move_labels(models: Any, *, seed: int, changes: int) -> None:
    draw = random.Random(seed)
    for _ in range(changes):
        label, version = draw.choice(["canary", "stable"]), draw.randint(1, 4)
        if draw.random() < 0.3:
            with contextlib.suppress(grpc.aio.AioRpcError):  # there may be nothing to go back to
                await models.Rollback(model_pb.RollbackRequest(name="ncf"))
        else:
            await models.SetLabel(model_pb.SetLabelRequest(name="ncf", label=label, version=version, force=True))


async def infer(server: Any, version: str, feeds: Any, truth: Any, *, until: asyncio.Event) -> set[int]:
    """Ask for a version until it is over; return which versions answered, each with its own numbers."""
    request = v2.ModelInferRequest(model_name="ncf", model_version=version)
    for name, array in feeds.items():
        request.inputs.add(name=name, datatype="INT64", shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    call, found = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer"), set()
    while not until.is_set():
        answer = v2.ModelInferResponse.FromString(await call(request.SerializeToString()))
        found.add(int(answer.model_version))
        logits = np.frombuffer(answer.raw_output_contents[0], np.float32)
        np.testing.assert_allclose(logits, truth[int(answer.model_version)], rtol=1e-4, atol=1e-5)
    return found


async def test_two_servers_move_the_labels_of_one_model(
    start: Any, repository: Any, make_repository: Any, tmp_path: Any
) -> None:
    """Whoever asks for a label, or for none, is answered, each time by one version; and both agree in the end."""
    shutil.rmtree(repository.path / "hybrid")
    for seed in (8, 9, 10):
        make_repository(repository.path, kinds=("ncf",), seed=seed)
    for label in ("canary", "stable"):
        repository.store.set_label("ncf", label, 1)
    feeds = {"history": np.asarray([[3, 7]]), "user_index": np.zeros(3, np.int64), "track": np.asarray([1, 5, 9])}
    truth = {
        version: onnxruntime.InferenceSession(str(repository.path / "ncf" / str(version) / "model.onnx")).run(
            ["logit"], feeds
        )[0]
        for version in range(1, 5)
    }
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                start(repository.path, state_dir=tmp_path / f"state{number}", repository_poll_s=0.05, probation_s=0)
            )
            for number in range(2)
        ]
        over = asyncio.Event()
        asking = [
            asyncio.create_task(infer(server, version, feeds, truth, until=over))
            for server in servers
            for version in ("", "stable", "canary")
        ]
        await asyncio.gather(
            *(move_labels(server.models, seed=seed, changes=25) for seed, server in enumerate(servers))
        )
        labels = repository.store.labels("ncf")
        for server in servers:
            while True:  # until it has looked at the repository
                model = (await server.models.GetModel(model_pb.GetModelRequest(name="ncf"))).model
                serving = [v.version for v in model.versions if v.state == model_pb.VERSION_STATE_IN_SERVICE]
                if dict(model.labels) == labels and serving == [labels["stable"]]:
                    break
        over.set()
        assert all(len(found) > 1 for found in await asyncio.gather(*asking))
