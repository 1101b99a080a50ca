"""`HandleReloadConfigRequest` over loopback: a configuration holds as a whole, or nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest

from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as pb
from audotics.v1 import model_service_pb2 as models_pb

Start = Callable[..., AbstractAsyncContextManager[Any]]


async def reload(server: Any, **models: Mapping[str, Any]) -> None:
    """Configure models by `versions` and `labels`."""
    request: Any = pb.ReloadConfigRequest()
    for name, wish in models.items():
        entry = request.config.model_config_list.config.add(name=name, version_labels=wish.get("labels", {}))
        entry.model_version_policy.specific.versions.extend(wish.get("versions", ()))
    method = server.channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
    await method(request.SerializeToString())


async def refusal(server: Any, **models: Mapping[str, Any]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reload(server, **models)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    return caught.value.details() or ""


async def standing(server: Any) -> dict[str, Any]:
    """The states of versions and the labels of each model."""
    answer = await server.models.ListModels(models_pb.ListModelsRequest())
    return {
        model.name: ({found.version: found.state for found in model.versions}, dict(model.labels))
        for model in answer.models
    }


def labels(repository: Any, name: str) -> dict[str, int]:
    path: Path = repository.path / name / "labels.json"
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def twice(repository: Any, make_repository: Callable[..., Any]) -> Any:
    """A repository with two versions of all, the first of which is stable."""
    make_repository(repository.path, seed=8)
    for name in ("hybrid", "ncf", "content", "collaborative"):
        (repository.path / name / "labels.json").write_text('{"stable": 1}')
    return repository


async def test_what_the_gate_refuses_leaves_everything_as_it_was(
    twice: Any, start: Start, sign_again: Callable[..., None]
) -> None:
    sign_again(twice.path / "hybrid" / "2", parity={"max_abs_diff": 0.5, "limit": 1e-4})
    async with start(twice.path, repository_poll_s=0) as server:
        before = await standing(server)
        message = await refusal(
            server,
            content={"versions": [1, 2], "labels": {"canary": 2}},
            hybrid={"labels": {"canary": 1, "stable": 2}},
        )
        assert message.startswith("hybrid/2 does not pass the promotion gate: its export differs")
        assert await standing(server) == before
        assert (labels(twice, "content"), labels(twice, "hybrid")) == ({"stable": 1}, {"stable": 1})


async def test_a_version_that_cannot_be_loaded_keeps_the_others_out(twice: Any, start: Start) -> None:
    model = twice.path / "ncf" / "2" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    async with start(twice.path, repository_poll_s=0) as server:
        before = await standing(server)
        message = await refusal(server, content={"versions": [1, 2], "labels": {"canary": 2}}, ncf={"versions": [2]})
        assert "ncf/2: checksum of 'model.onnx' does not hold" in message
        after = await standing(server)
        assert after["content"] == before["content"]
        assert labels(twice, "content") == {"stable": 1}


async def test_a_label_that_cannot_be_written_takes_back_those_that_were(twice: Any, start: Start) -> None:
    (twice.path / "ncf" / ".labels.json.partial").mkdir()  # where the new file would be written
    async with start(twice.path, repository_poll_s=0) as server:
        before = await standing(server)
        message = await refusal(
            server, content={"labels": {"canary": 2, "stable": 1}}, ncf={"versions": [2], "labels": {"canary": 2}}
        )
        assert message.startswith("ncf: labels.json cannot be written (")
        assert message.endswith(". No label was changed")
        assert await standing(server) == before
        assert labels(twice, "content") == {"stable": 1}
        (twice.path / "ncf" / ".labels.json.partial").rmdir()
        await reload(server, content={"labels": {"canary": 2}}, ncf={"versions": [2], "labels": {"canary": 2}})
        assert (labels(twice, "content"), labels(twice, "ncf")) == (
            {"stable": 1, "canary": 2},
            {"stable": 1, "canary": 2},
        )


async def test_a_hybrid_and_its_parts_come_together_in_any_order(twice: Any, start: Start) -> None:
    """Each part alone would be refused: the hybrid in service was trained with others."""
    async with start(twice.path, repository_poll_s=0) as server:
        stable = {"versions": [2], "labels": {"stable": 2}}
        assert "does not go with hybrid/1" in await refusal(server, ncf=stable)
        await reload(server, ncf=stable, collaborative=stable, hybrid=stable, content=stable)
        after = await standing(server)
        for name in ("ncf", "collaborative", "hybrid", "content"):
            assert after[name] == (
                {2: models_pb.VERSION_STATE_IN_SERVICE, 1: models_pb.VERSION_STATE_LOADED},
                {"stable": 2},
            )


async def test_what_the_memory_has_no_room_for_is_not_half_loaded(twice: Any, start: Start) -> None:
    sizes = {
        (name, version): sum(file.size_bytes for file in twice.store.open(name, version).manifest.files.values())
        for name in ("hybrid", "ncf", "content", "collaborative")
        for version in (1, 2)
    }
    both = sizes["content", 2] + sizes["ncf", 2]
    room = (sum(size for (_, version), size in sizes.items() if version == 1) + both - 1) / 2**20
    async with start(twice.path, repository_poll_s=0, model_memory_mib=room) as server:
        before = await standing(server)
        message = await refusal(server, content={"versions": [1, 2]}, ncf={"versions": [1, 2]})
        assert "which is more than model_memory_mib" in message
        assert await standing(server) == before
