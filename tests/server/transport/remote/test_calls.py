"""Calls of another server, which here does what a test says: attempts, time limits, and what becomes of them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from audotics.server.errors import DeadlineError
from audotics.server.runtime.breaker import CircuitBreaker
from audotics.server.runtime.model import InferenceError, UnavailableModelError
from audotics.server.transport.remote.call import RemoteCalls

METHOD = "/test.Far/Infer"
Answer = Callable[[grpc.ServicerContext], bytes]


class Far:
    """A server whose next answers are `script`; what it is asked beyond is answered with b"fine"."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.asked = 0
        self._server = grpc.server(ThreadPoolExecutor(16))
        handler = grpc.unary_unary_rpc_method_handler(self._answer)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Far", {"Infer": handler}),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.asked += 1
        return self.script.pop(0)(context) if self.script else b"fine"

    def stop(self) -> None:
        self._server.stop(0).wait()


def status(code: grpc.StatusCode) -> Answer:
    return lambda context: context.abort(code, "as the test says")


@pytest.fixture
def far() -> Iterator[Far]:
    server = Far()
    yield server
    server.stop()


@pytest.fixture
def calling(far: Far) -> Iterator[Callable[..., Any]]:
    """`calling(**options)`: a function that calls `far`, with 20 s and three attempts unless the options differ."""
    with grpc.insecure_channel(far.address) as channel:
        method = channel.unary_unary(METHOD)

        def make(**options: Any) -> Callable[..., bytes]:
            values = {"timeout_s": 20.0, "attempts": 3, "breaker": CircuitBreaker()} | options
            calls = RemoteCalls("ncf/1", address=far.address, **values)
            return lambda **more: calls.call(method, b"", **more)

        yield make


def test_what_passes_is_tried_again(far: Far, calling: Callable[..., Any]) -> None:
    far.script = [status(grpc.StatusCode.UNAVAILABLE), status(grpc.StatusCode.RESOURCE_EXHAUSTED)]
    assert calling()() == b"fine"
    assert far.asked == 3


def test_attempts_end(far: Far, calling: Callable[..., Any]) -> None:
    far.script = [status(grpc.StatusCode.UNAVAILABLE)] * 9
    with pytest.raises(UnavailableModelError, match=r"^ncf/1: its server does not answer \(UNAVAILABLE\)$"):
        calling()()
    assert far.asked == 3


def test_inputs_that_a_model_fails_on_are_sent_once_and_trip_no_breaker(far: Far, calling: Callable[..., Any]) -> None:
    breaker = CircuitBreaker(failures=1)
    call = calling(breaker=breaker)
    for code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL):
        far.script = [status(code)]
        with pytest.raises(InferenceError, match=f"refused the inputs .{code.name}.") as failure:
            call()
        assert not isinstance(failure.value, UnavailableModelError)
        assert "as the test says" not in str(failure.value)
    assert far.asked == 2
    assert not breaker.open


def test_a_model_that_is_not_there_is_not_tried_again(far: Far, calling: Callable[..., Any]) -> None:
    far.script = [status(grpc.StatusCode.NOT_FOUND)]
    with pytest.raises(UnavailableModelError, match="NOT_FOUND"):
        calling()()
    assert far.asked == 1


def test_a_time_limit_and_a_deadline_end_a_call(far: Far, calling: Callable[..., Any]) -> None:
    go_on = threading.Event()

    def hang(_: grpc.ServicerContext) -> bytes:
        go_on.wait(60)
        return b"late"

    breaker = CircuitBreaker(failures=2)
    far.script = [hang, hang, hang]
    try:
        with pytest.raises(UnavailableModelError, match=r"gave no answer within 0\.2 s"):
            calling(timeout_s=0.2, breaker=breaker)()
        for _ in range(2):  # a caller with little time says nothing about the server
            with pytest.raises(DeadlineError):
                calling(breaker=breaker)(deadline=time.monotonic() + 0.2)
        assert not breaker.open
        with pytest.raises(DeadlineError):
            calling(breaker=breaker)(deadline=time.monotonic() - 1)
        assert far.asked == 3
    finally:
        go_on.set()


def test_a_server_that_is_gone_is_left_alone_and_found_again(far: Far, calling: Callable[..., Any]) -> None:
    now = [0.0]
    breaker = CircuitBreaker(failures=2, clock=lambda: now[0])
    call = calling(attempts=1, breaker=breaker)
    far.script = [status(grpc.StatusCode.UNAVAILABLE)] * 3
    for _ in range(2):
        with pytest.raises(UnavailableModelError, match="does not answer"):
            call()
    with pytest.raises(UnavailableModelError, match=r"failed several times in a row; it is called again in 0.5 s"):
        call()
    assert far.asked == 2
    now[0] += 0.5
    with pytest.raises(UnavailableModelError, match="does not answer"):
        call()
    now[0] += 1.0
    assert call() == b"fine"
    assert call() == b"fine"
    assert far.asked == 5


def gone(context: grpc.ServicerContext) -> bytes:
    """Never answers, and goes when its caller does."""
    left = threading.Event()
    if context.add_callback(left.set):
        left.wait(60)
    return b"too late"


def impatient(call: Callable[..., bytes]) -> bytes:
    return call(deadline=time.monotonic() + 0.02)


def test_a_server_that_hangs_is_left_alone_though_all_callers_give_up_sooner(
    far: Far, calling: Callable[..., Any]
) -> None:
    breaker = CircuitBreaker()
    call = calling(timeout_s=0.3, breaker=breaker)
    far.script = [gone] * 1000
    refused = None
    while refused is None:
        try:
            impatient(call)
        except UnavailableModelError as error:
            refused = error
        except DeadlineError:
            pass
    assert "failed several times in a row; it is called again in" in str(refused)
    assert breaker.open
    far.script = []
    while breaker.open:
        with contextlib.suppress(DeadlineError, UnavailableModelError):
            impatient(call)
    assert call() == b"fine"


def test_a_slow_server_is_called_though_its_callers_give_up(far: Far, calling: Callable[..., Any]) -> None:
    breaker = CircuitBreaker(failures=3)
    call = calling(breaker=breaker)
    for _ in range(3):
        answers = threading.Event()

        def slow(context: grpc.ServicerContext, answers: threading.Event = answers) -> bytes:
            left = threading.Event()
            context.add_callback(left.set)
            while not answers.is_set() and not left.wait(0.001):
                pass
            return b"slow"

        far.script = [slow] * 8
        for _ in range(8):
            with pytest.raises(DeadlineError):
                impatient(call)
        assert not breaker.open
        answers.set()
        far.script = []  # of a call that never reached it
        assert call(deadline=time.monotonic() + 60) == b"fine"
        assert not breaker.open


def test_one_call_at_a_time_goes_on_without_its_caller(far: Far, calling: Callable[..., Any]) -> None:
    """What nobody waits for costs a server as much as what somebody does."""
    given_s: list[float] = []

    def slow(context: grpc.ServicerContext) -> bytes:
        given_s.append(context.time_remaining())
        return gone(context)

    far.script = [slow] * 10
    call = calling(timeout_s=100.0)
    for _ in range(10):
        with pytest.raises(DeadlineError):
            impatient(call)
    assert sum(left_s > 50 for left_s in given_s) == 1


def test_a_call_that_goes_on_ends_with_the_channel(far: Far) -> None:
    breaker = CircuitBreaker(failures=1)
    calls = RemoteCalls("ncf/1", address=far.address, timeout_s=100.0, attempts=1, breaker=breaker)
    far.script = [gone] * 2
    with grpc.insecure_channel(far.address) as channel:
        method = channel.unary_unary(METHOD)
        for _ in range(2):
            with pytest.raises(DeadlineError):
                calls.call(method, b"", deadline=time.monotonic() + 0.02)
    assert not breaker.open
