"""The blocking client: calls of the shared core go in, results or typed exceptions come out."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import grpc

from audotics.client.arguments import FeedbackEvent, Track
from audotics.client.calls import catalog, experiments, feedback, groups, learning, models, recommender, sessions, watch
from audotics.client.calls.call import Call, check_timeout, method_signature
from audotics.client.calls.watch import Watch
from audotics.client.channel import DEFAULT_KEEPALIVE, Keepalive, Tls, open_channel
from audotics.client.errors import UnavailableError
from audotics.client.results.catalog import UpsertResult
from audotics.client.results.feedback import FeedbackResult
from audotics.client.retry import DEFAULT_RETRIES, NO_RETRIES, Attempts, RetryPolicy
from audotics.client.status import error_of

_P = ParamSpec("_P")
_ResultT = TypeVar("_ResultT")


def _blocking(
    build: Callable[_P, Call[_ResultT]],
) -> Callable[Concatenate[RecommenderClient, _P], _ResultT]:
    """Return the method that builds a call and executes it."""

    @functools.wraps(build)
    def method(self: RecommenderClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _ResultT:
        return self.execute(build(*args, **kwargs))

    method.__signature__ = method_signature(build)  # type: ignore[attr-defined]
    return method


def _watching(
    build: Callable[_P, Watch[_ResultT]],
) -> Callable[Concatenate[RecommenderClient, _P], Iterator[_ResultT]]:
    """Return the method that builds a stream and yields what it brings."""

    @functools.wraps(build)
    def method(self: RecommenderClient, /, *args: _P.args, **kwargs: _P.kwargs) -> Iterator[_ResultT]:
        return self._stream(build(*args, **kwargs))

    method.__signature__ = method_signature(build)  # type: ignore[attr-defined]
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
        check_timeout(timeout_s)
        self._target = target
        self._timeout_s = timeout_s
        self._retries = retries
        self._metadata = tuple((key.lower(), value) for key, value in (metadata or {}).items())
        self._owns_channel = channel is None
        self._channel = open_channel(target, keepalive=keepalive, tls=tls) if channel is None else channel
        self._closed = False

    recommend = _blocking(recommender.recommend)
    similar_tracks = _blocking(recommender.similar_tracks)
    rank_tracks = _blocking(recommender.rank_tracks)
    classify_tracks = _blocking(recommender.classify_tracks)
    explain_recommendation = _blocking(recommender.explain_recommendation)
    recommend_group = _blocking(groups.recommend_group)
    score_compatibility = _blocking(groups.score_compatibility)
    analyze_taste = _blocking(groups.analyze_taste)
    create_session = _blocking(sessions.create_session)
    get_session = _blocking(sessions.get_session)
    join_session = _blocking(sessions.join_session)
    leave_session = _blocking(sessions.leave_session)
    vote_track = _blocking(sessions.vote_track)
    set_now_playing = _blocking(sessions.set_now_playing)
    skip_track = _blocking(sessions.skip_track)
    end_session = _blocking(sessions.end_session)
    record_feedback = _blocking(feedback.record_feedback)
    update_preferences = _blocking(feedback.update_preferences)
    get_preferences = _blocking(feedback.get_preferences)
    delete_user = _blocking(feedback.delete_user)
    get_listener_features = _blocking(feedback.get_listener_features)
    upsert_tracks = _blocking(catalog.upsert_tracks)
    get_tracks = _blocking(catalog.get_tracks)
    delete_tracks = _blocking(catalog.delete_tracks)
    list_artists = _blocking(catalog.list_artists)
    get_artists = _blocking(catalog.get_artists)
    list_models = _blocking(models.list_models)
    get_model = _blocking(models.get_model)
    load_version = _blocking(models.load_version)
    unload_version = _blocking(models.unload_version)
    set_label = _blocking(models.set_label)
    remove_label = _blocking(models.remove_label)
    rollback = _blocking(models.rollback)
    get_shadow_report = _blocking(models.get_shadow_report)
    list_indexes = _blocking(models.list_indexes)
    rebuild_index = _blocking(models.rebuild_index)
    get_recall_report = _blocking(models.get_recall_report)
    list_model_records = _blocking(models.list_model_records)
    create_experiment = _blocking(experiments.create_experiment)
    get_experiment = _blocking(experiments.get_experiment)
    list_experiments = _blocking(experiments.list_experiments)
    set_traffic = _blocking(experiments.set_traffic)
    stop_experiment = _blocking(experiments.stop_experiment)
    promote_arm = _blocking(experiments.promote_arm)
    report_experiment = _blocking(experiments.report_experiment)
    evaluate_policy = _blocking(experiments.evaluate_policy)

    watch_recommendations = _watching(watch.watch_recommendations)
    watch_group = _watching(watch.watch_group)
    get_tilt_policy = _blocking(learning.get_tilt_policy)
    list_tilt_updates = _blocking(learning.list_tilt_updates)
    propose_tilt_update = _blocking(learning.propose_tilt_update)
    revert_tilt_update = _blocking(learning.revert_tilt_update)

    def execute(self, call: Call[_ResultT]) -> _ResultT:
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
        stream = feedback.stream_feedback(timeout_s=timeout_s)
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

    def import_tracks(self, tracks: Iterable[Track], *, timeout_s: float | None = None) -> UpsertResult:
        """Add or replace up to 100,000 tracks at once: all of them or, when one is invalid, none.

        `tracks` may be a generator, and is read as fast as the server takes them. An import is not retried. Raises
        AudoticsError, and whatever iterating `tracks` raises; then nothing is changed.
        """
        call = catalog.import_tracks(timeout_s=timeout_s)
        failures: list[Exception] = []
        started = threading.Event()

        def requests() -> Iterator[bytes]:
            started.wait()
            try:
                yield from call.requests(tracks)
            except Exception as failure:  # gRPC reads this in a thread of its own, and would only log it
                failures.append(failure)
                answer.cancel()

        answer = self._open().stream_unary(call.path).future(requests(), timeout=timeout_s, metadata=self._metadata)
        started.set()
        try:
            return call.read(answer.result())
        except (grpc.RpcError, grpc.FutureCancelledError) as failure:
            if failures:
                raise failures[0] from None
            raise error_of(answer) from failure

    def wait_until_ready(self, timeout_s: float | None = None) -> None:
        """Return once a server is connected. Raises UnavailableError when none is within `timeout_s`."""
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        check_timeout(limit_s)
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

    def _stream(self, stream: Watch[_ResultT]) -> Iterator[_ResultT]:
        answers = self._open().unary_stream(stream.path)(
            stream.request, timeout=stream.timeout_s, metadata=self._metadata
        )
        try:
            for answer in answers:
                yield stream.read(answer)
        except grpc.RpcError as failure:
            raise error_of(failure) from failure
        finally:
            answers.cancel()

    def _open(self) -> grpc.Channel:
        if self._closed:
            raise RuntimeError("this client is closed; make a new one")
        return self._channel
