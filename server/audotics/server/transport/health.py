"""`grpc.health.v1`: the states of services and of models; a service's name goes in, whether it serves comes out.

Services are known by their full names. A model is known as `audotics.model.NAME`: it serves while one of its versions
takes requests. Watchers of a model learn of a change within `_LOOK_AGAIN_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2

from audotics.server.errors import NotFoundError, NotReadyError

MODEL_PREFIX: Final = "audotics.model."
_LOOK_AGAIN_S: Final = 0.25

_States = health_pb2.HealthCheckResponse


class HealthServicer(health.aio.HealthServicer):  # type: ignore[misc]
    """The servicer of grpcio-health-checking, which holds the states of services; those of models are looked up."""

    def __init__(self, find_model: Callable[[str], object]) -> None:
        """`find_model` raises NotFoundError for a model that does not exist, NotReadyError for one out of service."""
        super().__init__()
        self._find_model = find_model
        self._stopping = asyncio.Event()

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if not request.service.startswith(MODEL_PREFIX):
            return await super().Check(request, context)
        state = self._state(request.service)
        if state == _States.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no model {request.service!r}")
        return _States(status=state)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> None:
        if not request.service.startswith(MODEL_PREFIX):
            await super().Watch(request, context)
            return
        told = None
        while True:
            state = self._state(request.service)
            if state != told:
                await context.write(_States(status=state))
                told = state
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), None if self._stopping.is_set() else _LOOK_AGAIN_S)
                if told == _States.NOT_SERVING:
                    return

    async def enter_graceful_shutdown(self) -> None:
        """Report NOT_SERVING for everything from now on."""
        self._stopping.set()
        await super().enter_graceful_shutdown()

    def _state(self, service: str) -> int:
        if self._stopping.is_set():
            return int(_States.NOT_SERVING)
        try:
            self._find_model(service.removeprefix(MODEL_PREFIX))
        except NotFoundError:
            return int(_States.SERVICE_UNKNOWN)
        except NotReadyError:
            return int(_States.NOT_SERVING)
        return int(_States.SERVING)
