"""Streams in both directions: requests go in, each is answered, and the answers come out in the order of the requests.

`guarded`, which the interceptor puts around every stream, gives their errors their statuses.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

import grpc

from audotics.server.errors import AudoticsError
from audotics.server.transport.status import internal_status, status_of

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

_LOG: Final = logging.getLogger(__name__)
MOST_UNDER_WAY: Final = 16
"""Requests of one stream that are worked on at once. Beyond, none is read, and flow control slows the caller down."""


async def answered_in_order(
    requests: AsyncIterator[RequestT],
    answer: Callable[[RequestT], Awaitable[ResponseT]],
    *,
    most_under_way: int = MOST_UNDER_WAY,
) -> AsyncIterator[ResponseT]:
    """Answer up to `most_under_way` requests at once. The first failure ends the stream, once those before it are out.

    A caller who leaves stops what is under way; what has begun to be stored is stored all the same.
    """
    tasks: asyncio.Queue[asyncio.Future[ResponseT] | None] = asyncio.Queue()
    room = asyncio.Semaphore(most_under_way)

    async def read() -> None:
        try:
            async for request in requests:
                await room.acquire()
                tasks.put_nowait(asyncio.ensure_future(answer(request)))
        finally:
            tasks.put_nowait(None)

    reading = asyncio.create_task(read())
    try:
        while (task := await tasks.get()) is not None:
            yield await task
            room.release()
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        left = [task for task in _drain(tasks) if task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def guarded(context: grpc.aio.ServicerContext, answers: AsyncIterator[ResponseT]) -> AsyncIterator[ResponseT]:
    """The answers; an error ends the stream with its status, and an unexpected one keeps its text from the caller."""
    status: Any = None
    try:
        async for response in answers:
            yield response
    except AudoticsError as error:
        status = status_of(error) or _unexpected(error)
    except Exception as error:
        if isinstance(error, grpc.aio.AbortError):
            raise
        status = _unexpected(error)
    finally:
        await answers.aclose()  # type: ignore[attr-defined]
    if status is not None:
        await context.abort_with_status(status)


async def guarded_answer(context: grpc.aio.ServicerContext, work: Awaitable[ResponseT]) -> ResponseT:
    """The one answer to a stream; an error ends the call as `guarded` ends a stream."""
    try:
        return await work
    except AudoticsError as error:
        status = status_of(error) or _unexpected(error)
    except Exception as error:
        if isinstance(error, grpc.aio.AbortError):
            raise
        status = _unexpected(error)
    await context.abort_with_status(status)
    raise AssertionError("abort_with_status raises")


def _unexpected(error: Exception) -> Any:
    error_id = uuid.uuid4().hex
    _LOG.error("unexpected error %s in a stream", error_id, exc_info=error)
    return internal_status(error_id)


def _drain(queue: asyncio.Queue[ResponseT]) -> list[ResponseT]:
    return [queue.get_nowait() for _ in range(queue.qsize())]
