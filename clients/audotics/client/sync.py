"""The blocking client: calls of the shared core go in, results or typed exceptions come out."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import grpc

from audotics.client import calls
from audotics.client.arguments import FeedbackEvent
from audotics.client.channel import DEFAULT_KEEPALIVE, Keepalive, Tls, open_channel
from audotics.client.errors import UnavailableError
from audotics.client.results import FeedbackResult
from audotics.client.retry import DEFAULT_RETRIES, NO_RETRIES, Attempts, RetryPolicy
from audotics.client.status import error_of

_P = ParamSpec("_P")
_ResultT = TypeVar("_ResultT")


def _blocking(
    build: Callable[_P, calls.Call[_ResultT]],
) -> Callable[Concatenate[RecommenderClient, _P], _ResultT]:
    """Return the method that builds a call and executes it."""

    @functools.wraps(build)
    def method(self: RecommenderClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _ResultT:
        return self.execute(build(*args, **kwargs))

    method.__signature__ = calls.method_signature(build)  # type: ignore[attr-defined]
    return method


class RecommenderClient:
    """A client that blocks. It may be shared by threads; it connects on its first call, not when it is made.

        with RecommenderClient("localhost:50051") as client:
            for track in client.recommend("user-1", limit=10).tracks:
                ...

    `target` is "host:port" or any gRPC name; calls go round robin over all addresses it resolves to. `timeout_s` is the
    deadline of a call, its retries included, where the call names none. `metadata` goes with every call. An injected
    `channel` is used as it is, in place of one made from `target`, `keepalive` and `tls`; the caller closes it.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout_s: float = 5.0,
        retries: RetryPolicy = DEFAULT_RETRIES,
        keepalive: Keepalive = DEFAULT_KEEPALIVE,
        tls: Tls | None = None,
        metadata: Mapping[str, str] | None = None,
        channel: grpc.Channel | None = None,
    ) -> None:
        calls.check_timeout(timeout_s)
        self._target = target
        self._timeout_s = timeout_s
        self._retries = retries
        self._metadata = tuple((key.lower(), value) for key, value in (metadata or {}).items())
        self._owns_channel = channel is None
        self._channel = open_channel(target, keepalive=keepalive, tls=tls) if channel is None else channel
        self._closed = False

    recommend = _blocking(calls.recommend)
    similar_tracks = _blocking(calls.similar_tracks)
    rank_tracks = _blocking(calls.rank_tracks)
    classify_tracks = _blocking(calls.classify_tracks)
    explain_recommendation = _blocking(calls.explain_recommendation)
    record_feedback = _blocking(calls.record_feedback)
    update_preferences = _blocking(calls.update_preferences)
    get_preferences = _blocking(calls.get_preferences)
    delete_user = _blocking(calls.delete_user)
    upsert_tracks = _blocking(calls.upsert_tracks)
    get_tracks = _blocking(calls.get_tracks)
    delete_tracks = _blocking(calls.delete_tracks)
    list_models = _blocking(calls.list_models)
    get_model = _blocking(calls.get_model)
    load_version = _blocking(calls.load_version)
    unload_version = _blocking(calls.unload_version)
    set_label = _blocking(calls.set_label)
    remove_label = _blocking(calls.remove_label)
    rollback = _blocking(calls.rollback)
    get_shadow_report = _blocking(calls.get_shadow_report)

    def execute(self, call: calls.Call[_ResultT]) -> _ResultT:
        """Make `call` and return its result; the other methods end here. Raises AudoticsError."""
        retries = self._retries if call.repeatable else NO_RETRIES
        attempts = Attempts(retries, timeout_s=self._timeout_s if call.timeout_s is None else call.timeout_s)
        invoke = self._open().unary_unary(call.path)
        while True:
            try:
                answer = invoke(call.request, timeout=attempts.remaining_s(), metadata=self._metadata)
            except grpc.RpcError as failure:
                error = error_of(failure)
                error.__cause__ = failure
                pause_s = attempts.pause_s(error)
            else:
                return call.read(answer)
            time.sleep(pause_s)

    def stream_feedback(
        self, events: Iterable[FeedbackEvent], *, timeout_s: float | None = None
    ) -> Iterator[FeedbackResult]:
        """Send events as they come, and yield what became of each, in their order.

        The server slows the sending down to what it can store. A stream is not retried: what it has not answered may be
        sent again, by the same event ids. Raises AudoticsError, and whatever iterating `events` raises.
        """
        stream = calls.stream_feedback(timeout_s=timeout_s)
        failures: list[Exception] = []

        def requests() -> Iterator[bytes]:
            try:
                for event in events:
                    yield stream.request((event,))
            except Exception as failure:  # gRPC reads this in a thread of its own, and would only log it
                failures.append(failure)

        answers = self._open().stream_stream(stream.path)(requests(), timeout=timeout_s, metadata=self._metadata)
        try:
            for answer in answers:
                yield from stream.read(answer)
        except grpc.RpcError as failure:
            raise error_of(failure) from failure
        finally:
            answers.cancel()
        if failures:
            raise failures[0]

    def wait_until_ready(self, timeout_s: float | None = None) -> None:
        """Return once a server is connected. Raises UnavailableError when none is within `timeout_s`."""
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        calls.check_timeout(limit_s)
        ready = grpc.channel_ready_future(self._open())
        try:
            ready.result(timeout=limit_s)
        except grpc.FutureTimeoutError:
            raise UnavailableError(
                f"no server at {self._target} within {limit_s:g} s", grpc.StatusCode.UNAVAILABLE
            ) from None
        finally:
            ready.cancel()

    def close(self) -> None:
        """End every call under way and hang up. A second close does nothing."""
        if not self._closed and self._owns_channel:
            self._channel.close()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> grpc.Channel:
        if self._closed:
            raise RuntimeError("this client is closed; make a new one")
        return self._channel
