"""`grpc.health.v1`: the states of services and of models; a service's name goes in, whether it serves comes out.

Services are known by their full names, and the server as "". A model is known as `audotics.model.NAME`: it serves while
one of its versions takes requests. Watchers of a model learn of a change within `_LOOK_AGAIN_S`, all of them at once
that the server stops.

The servicer of grpcio-health-checking is not used: where several watch one service and one of them leaves, the others
are told of nothing any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from audotics.server.errors import InvalidRequestError, NotFoundError, NotReadyError
from audotics.server.transport.caller import caller_of

MODEL_PREFIX: Final = "audotics.model."
_LOOK_AGAIN_S: Final = 0.25

_States = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """States of services are held here; those of models are looked up."""

    def __init__(self, find_model: Callable[[str, str], object]) -> None:
        """`find_model` takes the name that a tenant knows a model by, and the tenant.

        It raises NotFoundError for a model that does not exist, NotReadyError for one out of service.
        """
        self._find_model = find_model
        self._services: frozenset[str] = frozenset()
        self._stopping = asyncio.Event()

    def serve(self, services: Iterable[str]) -> None:
        """Report SERVING for these from now on, and for the server as a whole."""
        self._services = frozenset(("", *services))

    def stop(self) -> None:
        """Report NOT_SERVING for everything from now on."""
        self._stopping.set()

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        state = self._state(request.service, caller_of(context).tenant)
        if state == _States.SERVICE_UNKNOWN:
            what = "model" if request.service.startswith(MODEL_PREFIX) else "service"
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no {what} {request.service!r}")
        return _States(status=state)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """Of a service that is not known, SERVICE_UNKNOWN, and the stream stays open: it may be known later."""
        try:
            tenant = caller_of(context).tenant
        except InvalidRequestError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        look_again_s = _LOOK_AGAIN_S if request.service.startswith(MODEL_PREFIX) else None
        told = None
        while True:
            stopping = self._stopping.is_set()
            state = self._state(request.service, tenant)
            if state != told:
                await context.write(_States(status=state))
                told = state
            if stopping:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), look_again_s)

    def _state(self, service: str, tenant: str) -> int:
        """Of what is not known, that holds while the server stops, too."""
        if not service.startswith(MODEL_PREFIX):
            state = _States.SERVING if service in self._services else _States.SERVICE_UNKNOWN
        else:
            state = self._model_state(service.removeprefix(MODEL_PREFIX), tenant)
        return int(_States.NOT_SERVING if self._stopping.is_set() and state == _States.SERVING else state)

    def _model_state(self, name: str, tenant: str) -> health_pb2.HealthCheckResponse.ServingStatus:
        try:
            self._find_model(name, tenant)
        except NotFoundError:
            return _States.SERVICE_UNKNOWN
        except NotReadyError:
            return _States.NOT_SERVING
        return _States.SERVING
