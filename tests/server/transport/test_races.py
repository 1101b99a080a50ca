"""Several operators at once, while lists are made and versions appear: each is told how it ended, no list fails."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import grpc
import pytest

from audotics.bundle.store import BundleStore
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
