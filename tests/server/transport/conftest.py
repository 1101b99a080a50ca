"""A whole server on loopback, serving the small repository, and stubs that call it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status

from audotics.server.app import App, open_app
from audotics.server.settings import load_settings
from audotics.v1 import (
    catalog_service_pb2_grpc,
    experiment_service_pb2_grpc,
    feedback_service_pb2_grpc,
    group_service_pb2_grpc,
    learning_service_pb2_grpc,
    model_service_pb2_grpc,
    recommender_service_pb2_grpc,
)


class RepositoryFiles(Protocol):
    path: Path


@dataclass(frozen=True)
class Running:
    """A server, a channel to it, and a stub a service."""

    app: App
    channel: grpc.aio.Channel
    recommender: Any
    feedback: Any
    catalog: Any
    models: Any
    experiments: Any
    groups: Any
    learning: Any


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Running]]:
    """`start(repository_path, **settings)`: every server of a test shares one database."""

    @asynccontextmanager
    async def starting(repository: Path, **settings: object) -> AsyncIterator[Running]:
        values = {"port": 0, "state_dir": tmp_path / "state", "threads": 2} | settings
        async with (
            open_app(load_settings(repository=repository, **values)) as app,
            grpc.aio.insecure_channel(app.address) as channel,
        ):
            yield Running(
                app,
                channel,
                recommender_service_pb2_grpc.RecommenderServiceStub(channel),
                feedback_service_pb2_grpc.FeedbackServiceStub(channel),
                catalog_service_pb2_grpc.CatalogServiceStub(channel),
                model_service_pb2_grpc.ModelServiceStub(channel),
                experiment_service_pb2_grpc.ExperimentServiceStub(channel),
                group_service_pb2_grpc.GroupServiceStub(channel),
                learning_service_pb2_grpc.LearningServiceStub(channel),
            )

    return starting


@pytest.fixture
async def server(
    start: Callable[..., AbstractAsyncContextManager[Running]], repository: RepositoryFiles
) -> AsyncIterator[Running]:
    async with start(repository.path) as running:
        yield running


@pytest.fixture
def details() -> Callable[..., list[Any]]:
    """`details(error, kind)`: the google.rpc details of one kind that an RpcError carries."""

    def unpack(error: grpc.aio.AioRpcError, kind: type[Message]) -> list[Any]:
        status: status_pb2.Status = rpc_status.from_call(error)
        found = []
        for packed in status.details:
            detail = kind()
            if packed.Unpack(detail):
                found.append(detail)
        return found

    return unpack
