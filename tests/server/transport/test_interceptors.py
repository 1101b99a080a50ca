"""Around every call: expected errors are explained, others are hidden, and the log has one line."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from audotics.server.errors import AudoticsError, NotFoundError
from audotics.server.telemetry.logs import configure_logs
from audotics.server.transport.interceptors import RequestInterceptor
from audotics.v1 import feedback_service_pb2 as feedback_pb
from audotics.v1 import feedback_service_pb2_grpc as feedback_pb_grpc
from audotics.v1 import model_service_pb2 as pb
from audotics.v1 import model_service_pb2_grpc as pb_grpc

METHOD = "/audotics.v1.ModelService/GetModel"
Answer = Callable[[grpc.aio.ServicerContext], Awaitable[pb.GetModelResponse]]


class Scripted(pb_grpc.ModelServiceServicer):
    """Answers `GetModel` as the test says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def GetModel(  # noqa: N802
        self, request: pb.GetModelRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetModelResponse:
        return await self._answer(context)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[pb_grpc.ModelServiceStub]:
    server = grpc.aio.server(interceptors=[RequestInterceptor()])
    pb_grpc.add_ModelServiceServicer_to_server(Scripted(answer), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield pb_grpc.ModelServiceStub(channel)
    await server.stop(None)


def failing(error: Exception) -> Answer:
    async def answer(context: grpc.aio.ServicerContext) -> pb.GetModelResponse:
        raise error

    return answer


class Logs(io.StringIO):
    """A log that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._written = asyncio.Event()

    def write(self, text: str) -> int:
        self._written.set()
        return super().write(text)

    async def lines(self, count: int) -> list[dict[str, object]]:
        while self.getvalue().count("\n") < count:
            self._written.clear()
            await self._written.wait()
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def logs() -> Iterator[Logs]:
    """What is logged, as JSON lines; the process's own logging comes back after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = Logs()
    configure_logs(log_format="json", level="info", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_an_expected_error_shows_its_message_and_details(logs: Logs) -> None:
    async with serving(failing(NotFoundError("model", ["m"]))) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(pb.GetModelRequest())
        status = rpc_status.from_call(caught.value)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == "model not found: 'm'"
        assert {detail.TypeName() for detail in status.details} == {
            error_details_pb2.ErrorInfo.DESCRIPTOR.full_name,
            error_details_pb2.ResourceInfo.DESCRIPTOR.full_name,
        }
        (line,) = await logs.lines(1)
        assert (line["method"], line["code"], line["level"]) == (METHOD, "NOT_FOUND", "info")


@pytest.mark.parametrize("error", [ValueError("/secret/path"), AudoticsError("/secret/path")])
async def test_an_unexpected_error_keeps_its_text_for_the_log(error: Exception, logs: Logs) -> None:
    async with serving(failing(error)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(pb.GetModelRequest())
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in f"{caught.value.details()}{caught.value.trailing_metadata()}"
        failure, request = await logs.lines(2)
        assert f"internal error {failure['error_id']}" == caught.value.details()
        assert "/secret/path" in str(failure["exception"])
        assert request["code"] == "INTERNAL"


async def test_one_line_a_request(logs: Logs) -> None:
    async def answer(context: grpc.aio.ServicerContext) -> pb.GetModelResponse:
        return pb.GetModelResponse()

    async with serving(answer) as stub:
        for _ in range(3):
            await stub.GetModel(pb.GetModelRequest())
        written = await logs.lines(3)
        assert [(line["method"], line["code"]) for line in written] == [(METHOD, "OK")] * 3
        assert all(isinstance(line["duration_ms"], float) for line in written)


async def test_inference_that_succeeds_is_counted_and_not_logged(logs: Logs) -> None:
    async def infer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        if request == b"bad":
            raise NotFoundError("model", ["m"])
        return b"fine"

    server = grpc.aio.server(interceptors=[RequestInterceptor()])
    handler = grpc.unary_unary_rpc_method_handler(infer)
    service = "inference.GRPCInferenceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"ModelInfer": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(f"/{service}/ModelInfer")
        assert await call(b"good") == b"fine"
        with pytest.raises(grpc.aio.AioRpcError):
            await call(b"bad")
        (line,) = await logs.lines(1)
        assert line["code"] == "NOT_FOUND"
    await server.stop(None)


async def test_a_caller_who_leaves_stops_the_work(logs: Logs) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def answer(context: grpc.aio.ServicerContext) -> pb.GetModelResponse:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return pb.GetModelResponse()

    async with serving(answer) as stub:
        call = stub.GetModel(pb.GetModelRequest())
        waiting = asyncio.ensure_future(call)
        await started.wait()
        call.cancel()
        await stopped.wait()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        (line,) = await logs.lines(1)
        assert line["code"] == "CANCELLED"


async def test_a_handler_that_aborts_is_logged_with_its_code(logs: Logs) -> None:
    async def answer(context: grpc.aio.ServicerContext) -> pb.GetModelResponse:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
        return pb.GetModelResponse()

    async with serving(answer) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(pb.GetModelRequest())
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        (line,) = await logs.lines(1)
        assert line["code"] == "PERMISSION_DENIED"


STREAM = "/audotics.v1.FeedbackService/StreamFeedback"
Stream = Callable[[AsyncIterator[feedback_pb.StreamFeedbackRequest]], AsyncIterator[feedback_pb.StreamFeedbackResponse]]


class Echoes(feedback_pb_grpc.FeedbackServiceServicer):
    """Answers `StreamFeedback` as the test says."""

    def __init__(self, answers: Stream) -> None:
        self._answers = answers

    async def StreamFeedback(  # noqa: N802
        self, requests: AsyncIterator[feedback_pb.StreamFeedbackRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[feedback_pb.StreamFeedbackResponse]:
        async for answer in self._answers(requests):
            yield answer


@asynccontextmanager
async def streaming(answers: Stream) -> AsyncIterator[tuple[RequestInterceptor, feedback_pb_grpc.FeedbackServiceStub]]:
    interceptor = RequestInterceptor()
    server = grpc.aio.server(interceptors=[interceptor])
    feedback_pb_grpc.add_FeedbackServiceServicer_to_server(Echoes(answers), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield interceptor, feedback_pb_grpc.FeedbackServiceStub(channel)
    await server.stop(None)


async def echo(
    requests: AsyncIterator[feedback_pb.StreamFeedbackRequest],
) -> AsyncIterator[feedback_pb.StreamFeedbackResponse]:
    async for _ in requests:
        yield feedback_pb.StreamFeedbackResponse()


async def test_one_line_a_stream_with_its_messages(logs: Logs) -> None:
    async with streaming(echo) as (_, stub):
        requests = [feedback_pb.StreamFeedbackRequest() for _ in range(3)]
        assert len([answer async for answer in stub.StreamFeedback(iter(requests))]) == 3
        (line,) = await logs.lines(1)
        assert (line["method"], line["code"], line["received"], line["sent"]) == (STREAM, "OK", 3, 3)


@pytest.mark.parametrize(
    ("error", "code"), [(NotFoundError("model", ["m"]), "NOT_FOUND"), (ValueError("/secret"), "INTERNAL")]
)
async def test_a_stream_that_fails_has_its_status_and_line(error: Exception, code: str, logs: Logs) -> None:
    async def failing_later(
        requests: AsyncIterator[feedback_pb.StreamFeedbackRequest],
    ) -> AsyncIterator[feedback_pb.StreamFeedbackResponse]:
        async for _ in requests:
            yield feedback_pb.StreamFeedbackResponse()
            raise error

    async with streaming(failing_later) as (interceptor, stub):
        call = stub.StreamFeedback(iter([feedback_pb.StreamFeedbackRequest()]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            assert [answer async for answer in call]
        assert caught.value.code().name == code
        assert "secret" not in caught.value.details()
        *_, line = await logs.lines(1 if code == "NOT_FOUND" else 2)
        assert (line["method"], line["code"], line["received"]) == (STREAM, code, 1)
        await interceptor.wait_idle()


async def test_a_stream_is_under_way_only_while_it_owes_an_answer(logs: Logs) -> None:
    come, go_on = asyncio.Event(), asyncio.Event()

    async def slow(
        requests: AsyncIterator[feedback_pb.StreamFeedbackRequest],
    ) -> AsyncIterator[feedback_pb.StreamFeedbackResponse]:
        async for _ in requests:
            come.set()
            await go_on.wait()
            yield feedback_pb.StreamFeedbackResponse()

    async with streaming(slow) as (interceptor, stub):
        call = stub.StreamFeedback()
        await interceptor.wait_idle()
        await call.write(feedback_pb.StreamFeedbackRequest())
        await come.wait()
        idle = asyncio.ensure_future(interceptor.wait_idle())
        await asyncio.sleep(0)
        assert not idle.done()
        go_on.set()
        await call.read()
        await idle  # although the stream is open
        come.clear()
        go_on.clear()
        await call.write(feedback_pb.StreamFeedbackRequest())
        await come.wait()
        call.cancel()  # what is owed to a caller who has left holds nothing up
        await interceptor.wait_idle()
        (line,) = await logs.lines(1)
        assert (line["code"], line["received"], line["sent"]) == ("CANCELLED", 2, 1)
