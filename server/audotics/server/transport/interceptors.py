"""Around every call: a handler goes in, and comes out with statuses for its errors and a line in the log.

It also knows what is under way, for a server that drains: unary calls, and streams that owe an answer. A stream that
waits for its caller, or tells of changes for as long as anybody listens, holds nothing up.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.message import Message

from audotics.server.errors import AudoticsError
from audotics.server.telemetry.logs import get_logger
from audotics.server.telemetry.requests import RequestCounts
from audotics.server.transport.decoding import Unreadable, forgiving, readable
from audotics.server.transport.status import internal_status, status_of
from audotics.server.transport.streams import guarded

Context: TypeAlias = grpc.aio.ServicerContext
Behaviour: TypeAlias = Callable[[Any, Context], Awaitable[Message]]
Streaming: TypeAlias = Callable[[Any, Context], AsyncIterator[Message]]

_LOGGER: Final = "audotics.server.requests"

_QUIET_PREFIXES: Final = ("/grpc.health.", "/grpc.reflection.")
"""Probes call these every few seconds; they are logged at debug level."""

_COUNTED: Final = ("/inference.GRPCInferenceService/ModelInfer", "/tensorflow.serving.PredictionService/Predict")
"""`ModelStatistics` counts these. A line for each that succeeds would take 40 µs, a fifth of such a call."""


@dataclass(slots=True)
class _Counts:
    """Messages of one stream."""

    received: int = 0
    sent: int = 0

    @property
    def owed(self) -> int:
        return self.received - self.sent


class RequestInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Gives expected errors their status, keeps the text of all others from callers, logs and counts every call."""

    def __init__(self, counts: RequestCounts | None = None) -> None:
        self._requests = RequestCounts() if counts is None else counts
        self._log = get_logger(_LOGGER)
        self._verbose = partial(logging.getLogger(_LOGGER).isEnabledFor, logging.DEBUG)
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def wait_idle(self) -> None:
        """Return when no call is under way that an answer will end."""
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
        if handler is not None and (wrapped := self._wrapped(method, handler)) is not None:
            self._handlers[method] = wrapped
            return wrapped
        return handler

    def _wrapped(self, method: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler | None:
        coding = forgiving(handler.request_deserializer), handler.response_serializer
        if not handler.response_streaming and not handler.request_streaming:
            return grpc.unary_unary_rpc_method_handler(self._guard(method, handler.unary_unary), *coding)
        if not handler.response_streaming:
            whole = handler.stream_unary
            return grpc.stream_unary_rpc_method_handler(
                self._guard(method, lambda requests, context: whole(readable(requests), context)), *coding
            )
        if handler.request_streaming and inspect.isasyncgenfunction(handler.stream_stream):
            return grpc.stream_stream_rpc_method_handler(self._guard_dialogue(method, handler.stream_stream), *coding)
        if not handler.request_streaming and inspect.isasyncgenfunction(handler.unary_stream):
            return grpc.unary_stream_rpc_method_handler(self._guard_stream(method, handler.unary_stream), *coding)
        return None  # health's watchers write by themselves; they are logged no more than its checks

    def _guard(self, method: str, behaviour: Behaviour) -> Behaviour:
        async def call(request: Any, context: Context) -> Message:
            started = time.perf_counter()
            self._begin()
            try:
                if isinstance(request, Unreadable):
                    raise request.error()
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
                self._end()
            self._finish(method, status.code.name, started, "")
            return await context.abort_with_status(status)

        return call

    def _guard_stream(self, method: str, behaviour: Streaming) -> Streaming:
        """Of answers to one request: it may go on for as long as its caller listens, so it counts as idle."""

        async def stream(request: Message, context: Context) -> AsyncIterator[Message]:
            counts = _Counts(received=1)
            answers = _refused(request) if isinstance(request, Unreadable) else behaviour(request, context)
            async for answer in self._logged(method, context, counts, answers):
                counts.sent += 1
                yield answer

        return stream

    def _guard_dialogue(self, method: str, behaviour: Streaming) -> Streaming:
        """Of requests that are each answered: it is under way while it owes an answer."""

        async def stream(requests: AsyncIterator[Message], context: Context) -> AsyncIterator[Message]:
            counts = _Counts()

            async def counted() -> AsyncIterator[Message]:
                async for request in readable(requests):
                    counts.received += 1
                    if counts.owed == 1:
                        self._begin()
                    yield request

            try:
                async for answer in self._logged(method, context, counts, behaviour(counted(), context)):
                    yield answer
                    counts.sent += 1  # once gRPC has asked for the next, this one is on its way
                    if counts.owed == 0:
                        self._end()
            finally:
                if counts.owed > 0:
                    self._end()

        return stream

    async def _logged(
        self, method: str, context: Context, counts: _Counts, answers: AsyncIterator[Message]
    ) -> AsyncIterator[Message]:
        started = time.perf_counter()
        self._requests.stream_opened(method)
        code = "CANCELLED"  # of a stream that its caller leaves, which ends here without a word
        try:
            async for answer in guarded(context, answers):
                yield answer
            code = "OK"
        except grpc.aio.AbortError:
            code = context.code().name
            raise
        finally:
            elapsed_s = time.perf_counter() - started
            self._requests.stream_ended(method, code, received=counts.received, sent=counts.sent)
            self._write(method, code, elapsed_s, received=counts.received, sent=counts.sent)

    def _begin(self) -> None:
        self._running += 1
        self._idle.clear()

    def _end(self) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    def _unexpected(self, method: str, error: Exception) -> grpc.Status:
        error_id = uuid.uuid4().hex
        self._log.error("unexpected error", method=method, error_id=error_id, exc_info=error)
        return internal_status(error_id)

    def _finish(self, method: str, code: str, started: float, recommendation_id: str) -> None:
        elapsed_s = time.perf_counter() - started
        self._requests.ended(method, code, elapsed_s)
        self._write(method, code, elapsed_s, **({"recommendation_id": recommendation_id} if recommendation_id else {}))

    def _write(self, method: str, code: str, elapsed_s: float, **more: str | int) -> None:
        quiet = method.startswith(_QUIET_PREFIXES) or (code == "OK" and method in _COUNTED)
        if quiet and not self._verbose():
            return
        fields = {"method": method, "code": code, "duration_ms": round(elapsed_s * 1000, 3), **more}
        write = self._log.debug if quiet else self._log.info
        # In the next turn of the loop: the answer leaves first.
        asyncio.get_running_loop().call_soon(lambda: write("request", **fields))


async def _refused(request: Unreadable) -> AsyncIterator[Message]:
    raise request.error()
    yield  # which makes it a stream
