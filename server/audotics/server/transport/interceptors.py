"""Around every unary call: a handler goes in, and comes out with statuses for its errors and a line in the log."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import grpc
from google.protobuf.message import Message

from audotics.server.errors import AudoticsError
from audotics.server.telemetry.logs import get_logger
from audotics.server.transport.status import internal_status, status_of

Context: TypeAlias = grpc.aio.ServicerContext
Behaviour: TypeAlias = Callable[[Message, Context], Awaitable[Message]]

_QUIET_PREFIXES: Final = ("/grpc.health.", "/grpc.reflection.")
"""Probes call these every few seconds; they are logged at debug level."""


class RequestInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Gives expected errors their status, keeps the text of all others from callers, and logs one line a call."""

    def __init__(self) -> None:
        self._log = get_logger("audotics.server.requests")
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def wait_idle(self) -> None:
        """Return when no unary call is under way."""
        await self._idle.wait()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Wrap the handler of a method, once."""
        method: str = handler_call_details.method
        if (known := self._handlers.get(method)) is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.response_streaming:
            return handler
        wrapped = grpc.unary_unary_rpc_method_handler(
            self._guard(method, handler.unary_unary), handler.request_deserializer, handler.response_serializer
        )
        self._handlers[method] = wrapped
        return wrapped

    def _guard(self, method: str, behaviour: Behaviour) -> Behaviour:
        async def guarded(request: Message, context: Context) -> Message:
            started = time.perf_counter()
            self._running += 1
            self._idle.clear()
            try:
                response = await behaviour(request, context)
            except AudoticsError as error:
                status = status_of(error) or self._unexpected(method, error)
            except asyncio.CancelledError:
                self._finish(method, "CANCELLED", started, "")
                raise
            except grpc.aio.AbortError:
                self._finish(method, context.code().name, started, "")
                raise
            except Exception as error:
                status = self._unexpected(method, error)
            else:
                self._finish(method, "OK", started, getattr(response, "recommendation_id", ""))
                return response
            finally:
                self._running -= 1
                if not self._running:
                    self._idle.set()
            self._finish(method, status.code.name, started, "")
            return await context.abort_with_status(status)

        return guarded

    def _unexpected(self, method: str, error: Exception) -> grpc.Status:
        error_id = uuid.uuid4().hex
        self._log.error("unexpected error", method=method, error_id=error_id, exc_info=error)
        return internal_status(error_id)

    def _finish(self, method: str, code: str, started: float, recommendation_id: str) -> None:
        fields: dict[str, str | float] = {
            "method": method,
            "code": code,
            "duration_ms": round((time.perf_counter() - started) * 1000, 3),
        }
        if recommendation_id:
            fields["recommendation_id"] = recommendation_id
        write = self._log.debug if method.startswith(_QUIET_PREFIXES) else self._log.info
        # In the next turn of the loop: the answer leaves first.
        asyncio.get_running_loop().call_soon(lambda: write("request", **fields))
