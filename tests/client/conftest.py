"""A real gRPC server on loopback that answers by script, and both clients behind one blocking face."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_status import rpc_status

from audotics.client import AsyncRecommenderClient, RecommenderClient
from audotics.v1 import (
    catalog_service_pb2,
    experiment_service_pb2,
    feedback_service_pb2,
    group_service_pb2,
    learning_service_pb2,
    model_service_pb2,
    recommender_service_pb2,
)

SERVICES = (
    recommender_service_pb2,
    feedback_service_pb2,
    catalog_service_pb2,
    model_service_pb2,
    experiment_service_pb2,
    group_service_pb2,
    learning_service_pb2,
)


@dataclass(frozen=True)
class Failure:
    """A status to end a call with, and its google.rpc details."""

    code: grpc.StatusCode
    message: str = "scripted"
    details: tuple[Message, ...] = ()
    trailing_metadata: tuple[tuple[str, str | bytes], ...] = ()


@dataclass(frozen=True)
class Received:
    """A call as it arrived."""

    method: str
    request: Message
    metadata: dict[str, str | bytes]


class Hang:
    """Answers nothing until the server stops; `begun` and `ended` say that a call has arrived and that it is over."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()


class ScriptedServer:
    """Gives each method its scripted answers in turn, the last one for ever."""

    def __init__(self, *, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> None:
        self.received: list[Received] = []
        self._answers: dict[str, list[Message | Failure | Hang]] = defaultdict(list)
        self._stopping = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=8))
        for module in SERVICES:
            for service in module.DESCRIPTOR.services_by_name.values():
                handlers = {method.name: self._handler(method) for method in service.methods}
                self._server.add_generic_rpc_handlers(
                    (grpc.method_handlers_generic_handler(service.full_name, handlers),)
                )
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.port: int = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        self._server.start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Message]:
        return [call.request for call in self.received]

    def script(self, method: str, *answers: Message | Failure | Hang) -> None:
        self._answers[method] = list(answers)

    def stop(self) -> None:
        self._stopping.set()
        self._server.stop(grace=None).wait()

    def _handler(self, method: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(
            partial(self._answer, method.name, GetMessageClass(method.output_type)()),
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )

    def _answer(self, method: str, empty: Message, request: Message, context: grpc.ServicerContext) -> Message:
        self.received.append(Received(method, request, dict(context.invocation_metadata())))
        answers = self._answers[method]
        answer = (answers.pop(0) if len(answers) > 1 else answers[0]) if answers else empty
        if isinstance(answer, Hang):
            context.add_callback(answer.ended.set)
            answer.begun.set()
            self._stopping.wait()
            return empty
        if isinstance(answer, Failure):
            self._fail(answer, context)
        return answer

    def _fail(self, failure: Failure, context: grpc.ServicerContext) -> None:
        if failure.trailing_metadata:
            context.set_trailing_metadata(failure.trailing_metadata)
            context.abort(failure.code, failure.message)
        status = status_pb2.Status(code=failure.code.value[0], message=failure.message)
        for detail in failure.details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        context.abort_with_status(rpc_status.to_status(status))


class Blocking:
    """The asyncio client with the face of the blocking one, so that both pass the same tests."""

    def __init__(self, client: AsyncRecommenderClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))


Connect = Callable[..., RecommenderClient]


@pytest.fixture
def start_server() -> Iterator[Callable[..., ScriptedServer]]:
    """Return a function that starts a scripted server, which ends with the test."""
    servers: list[ScriptedServer] = []

    def start(**options: Any) -> ScriptedServer:
        servers.append(ScriptedServer(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_server: Callable[..., ScriptedServer]) -> ScriptedServer:
    return start_server()


@pytest.fixture
def failure() -> type[Failure]:
    return Failure


@pytest.fixture
def hang() -> Hang:
    return Hang()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=["sync", "aio"])
def connect(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Iterator[Connect]:
    """Return a function that makes a client, of each kind in turn; the clients are closed after the test."""
    clients: list[Any] = []

    def make(target: str, **options: Any) -> Any:
        if request.param == "sync":
            clients.append(RecommenderClient(target, **options))
        else:
            clients.append(Blocking(AsyncRecommenderClient(target, **options), runner))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect, server: ScriptedServer) -> RecommenderClient:
    return connect(server.target)
