"""The gRPC server: servicers go in, a listening port comes out, and leaving drains it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2_grpc
from grpc_health.v1 import health_pb2_grpc

from audotics.server.telemetry.requests import RequestCounts
from audotics.server.transport import reflection
from audotics.server.transport.address import AddressError, format_address
from audotics.server.transport.compat.handlers import service_handler
from audotics.server.transport.compat.service import ForeignService
from audotics.server.transport.health import HealthServicer
from audotics.server.transport.interceptors import RequestInterceptor
from audotics.server.transport.servicers.catalog import CatalogServicer
from audotics.server.transport.servicers.experiments import ExperimentServicer
from audotics.server.transport.servicers.feedback import FeedbackServicer
from audotics.server.transport.servicers.groups import GroupServicer
from audotics.server.transport.servicers.learning import LearningServicer
from audotics.server.transport.servicers.models import ModelServicer
from audotics.server.transport.servicers.recommender import RecommenderServicer
from audotics.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    experiment_service_pb2,
    experiment_service_pb2_grpc,
    feedback_service_pb2,
    feedback_service_pb2_grpc,
    group_service_pb2,
    group_service_pb2_grpc,
    learning_service_pb2,
    learning_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    recommender_service_pb2,
    recommender_service_pb2_grpc,
)

SERVICES: Final = tuple(
    service.full_name
    for module in (
        recommender_service_pb2,
        feedback_service_pb2,
        catalog_service_pb2,
        model_service_pb2,
        experiment_service_pb2,
        group_service_pb2,
        learning_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)
"""Full names of the services of the wire contract that are served."""

_MIN_PING_INTERVAL_MS: Final = 10_000
_HEALTH: Final = "grpc.health.v1.Health"
_CHANNELZ: Final = "grpc.channelz.v1.Channelz"
_KEEPALIVE_MS: Final = 60_000
_KEEPALIVE_TIMEOUT_MS: Final = 20_000
_LAST_ANSWERS_S: Final = 0.5
"""Time for answers that have left their handlers to reach the wire."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to listen, and what to allow. `drain_s` is how long requests under way may take when the server stops."""

    host: str
    port: int
    drain_s: float
    max_connection_age_s: float
    max_concurrent_requests: int
    max_message_bytes: int
    gzip_answers: bool = False


class GrpcServer:
    """Serves while its context is open. `port` is the bound one."""

    def __init__(
        self,
        options: ServerOptions,
        *,
        recommender: RecommenderServicer,
        feedback: FeedbackServicer,
        catalog: CatalogServicer,
        models: ModelServicer,
        experiments: ExperimentServicer,
        groups: GroupServicer,
        learning: LearningServicer,
        find_model: Callable[[str, str], object],
        foreign: Sequence[ForeignService] = (),
        counts: RequestCounts | None = None,
    ) -> None:
        """`find_model` is what health asks about a model of a tenant; `foreign` are services of other protocols.

        `counts` learns how every call ended.
        """
        self._options = options
        self._recommender = recommender
        self._feedback = feedback
        self._catalog = catalog
        self._models = models
        self._experiments = experiments
        self._groups = groups
        self._learning = learning
        self._foreign = tuple(foreign)
        self._health = HealthServicer(find_model)
        self._interceptor = RequestInterceptor(counts)
        self._server: grpc.aio.Server | None = None
        self.port = options.port

    async def __aenter__(self) -> Self:
        """Bind, start, and report health. Raises AddressError."""
        server = grpc.aio.server(
            interceptors=[self._interceptor],
            options=_channel_arguments(self._options),
            maximum_concurrent_rpcs=self._options.max_concurrent_requests,
            compression=grpc.Compression.Gzip if self._options.gzip_answers else None,
        )
        named = _FoundByName(server)
        recommender_service_pb2_grpc.add_RecommenderServiceServicer_to_server(self._recommender, named)  # type: ignore[no-untyped-call]
        feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(self._feedback, named)  # type: ignore[no-untyped-call]
        catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(self._catalog, named)  # type: ignore[no-untyped-call]
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(self._models, named)  # type: ignore[no-untyped-call]
        experiment_service_pb2_grpc.add_ExperimentServiceServicer_to_server(self._experiments, named)  # type: ignore[no-untyped-call]
        group_service_pb2_grpc.add_GroupServiceServicer_to_server(self._groups, named)  # type: ignore[no-untyped-call]
        learning_service_pb2_grpc.add_LearningServiceServicer_to_server(self._learning, named)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, named)
        channelz_pb2_grpc.add_ChannelzServicer_to_server(channelz.aio.ChannelzServicer(), named)
        for service in self._foreign:
            named.add_generic_rpc_handlers((service_handler(service.descriptor, service.servicer),))
        native = (*SERVICES, _HEALTH, _CHANNELZ)
        named.add_generic_rpc_handlers(reflection.reflection_handlers(native, self._foreign))
        address = format_address(self._options.host, self._options.port)
        try:
            self.port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise AddressError(f"cannot listen on {address}; choose another --host or --port") from error
        self._health.serve((*native, *reflection.SERVICES, *(service.name for service in self._foreign)))
        await server.start()
        self._server = server
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Report NOT_SERVING, take no new calls, and let those under way finish within `drain_s`."""
        if self._server is None:
            return
        self._health.stop()
        draining = asyncio.ensure_future(self._server.stop(self._options.drain_s))
        idle = asyncio.ensure_future(self._interceptor.wait_idle())
        await asyncio.wait((draining, idle), return_when=asyncio.FIRST_COMPLETED)
        # What is left are streams that never end by themselves: health watchers and reflection.
        idle.cancel()
        await self._server.stop(min(_LAST_ANSWERS_S, self._options.drain_s))
        await draining


class _FoundByName:
    """What handlers are added to. It passes over gRPC's register of methods, and has each call's handler found by name.

    grpc.aio listens for each registered method in a task of its own, and goes through all these tasks for every call:
    with some sixty methods that takes 30 µs, a sixth of what it needs for a call.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        """Nothing: the same handlers come by `add_generic_rpc_handlers`, too."""


def _channel_arguments(options: ServerOptions) -> Sequence[tuple[str, int]]:
    return (
        # Off, so that a second server on the same port fails instead of taking half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_connection_age_ms", int(options.max_connection_age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", int(options.drain_s * 1000)),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
    )
