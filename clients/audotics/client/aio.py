"""The asyncio client: calls of the shared core go in, awaitable results or typed exceptions come out."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc
import grpc.aio

from audotics.client.arguments import FeedbackEvent, Track
from audotics.client.calls import catalog, experiments, feedback, groups, learning, models, recommender, sessions, watch
from audotics.client.calls.call import Call, check_timeout, method_signature
from audotics.client.calls.watch import Watch
from audotics.client.channel import DEFAULT_KEEPALIVE, Keepalive, Tls, open_aio_channel
from audotics.client.errors import UnavailableError
from audotics.client.results.catalog import UpsertResult
from audotics.client.results.feedback import FeedbackResult
from audotics.client.retry import DEFAULT_RETRIES, NO_RETRIES, Attempts, RetryPolicy
from audotics.client.status import error_of

_P = ParamSpec("_P")
_ResultT = TypeVar("_ResultT")


def _awaitable(
    build: Callable[_P, Call[_ResultT]],
) -> Callable[Concatenate[AsyncRecommenderClient, _P], Coroutine[Any, Any, _ResultT]]:
    """Return the coroutine method that builds a call and executes it."""

    @functools.wraps(build)
    async def method(self: AsyncRecommenderClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _ResultT:
        return await self.execute(build(*args, **kwargs))

    method.__signature__ = method_signature(build)  # type: ignore[attr-defined]
    return method


def _watching(
    build: Callable[_P, Watch[_ResultT]],
) -> Callable[Concatenate[AsyncRecommenderClient, _P], AsyncIterator[_ResultT]]:
    """Return the method that builds a stream and yields what it brings."""

    @functools.wraps(build)
    def method(self: AsyncRecommenderClient, /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncIterator[_ResultT]:
        return self._stream(build(*args, **kwargs))

    method.__signature__ = method_signature(build)  # type: ignore[attr-defined]
    return method


class AsyncRecommenderClient:
    """A client for asyncio, with the methods and arguments of `RecommenderClient`.

        async with AsyncRecommenderClient("localhost:50051") as client:
            recommendation = await client.recommend("user-1", limit=10)

    It may be made outside an event loop; its channel is made by the first call, and belongs to the loop of that call. A
    cancelled task cancels its call on the server.
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
        channel: grpc.aio.Channel | None = None,
    ) -> None:
        check_timeout(timeout_s)
        self._target = target
        self._timeout_s = timeout_s
        self._retries = retries
        self._keepalive = keepalive
        self._tls = tls
        self._metadata = tuple((key.lower(), value) for key, value in (metadata or {}).items())
        self._owns_channel = channel is None
        self._channel = channel
        self._closed = False

    recommend = _awaitable(recommender.recommend)
    similar_tracks = _awaitable(recommender.similar_tracks)
    rank_tracks = _awaitable(recommender.rank_tracks)
    classify_tracks = _awaitable(recommender.classify_tracks)
    explain_recommendation = _awaitable(recommender.explain_recommendation)
    recommend_group = _awaitable(groups.recommend_group)
    score_compatibility = _awaitable(groups.score_compatibility)
    analyze_taste = _awaitable(groups.analyze_taste)
    create_session = _awaitable(sessions.create_session)
    get_session = _awaitable(sessions.get_session)
    join_session = _awaitable(sessions.join_session)
    leave_session = _awaitable(sessions.leave_session)
    vote_track = _awaitable(sessions.vote_track)
    set_now_playing = _awaitable(sessions.set_now_playing)
    skip_track = _awaitable(sessions.skip_track)
    end_session = _awaitable(sessions.end_session)
    record_feedback = _awaitable(feedback.record_feedback)
    update_preferences = _awaitable(feedback.update_preferences)
    get_preferences = _awaitable(feedback.get_preferences)
    delete_user = _awaitable(feedback.delete_user)
    get_listener_features = _awaitable(feedback.get_listener_features)
    upsert_tracks = _awaitable(catalog.upsert_tracks)
    get_tracks = _awaitable(catalog.get_tracks)
    delete_tracks = _awaitable(catalog.delete_tracks)
    list_artists = _awaitable(catalog.list_artists)
    get_artists = _awaitable(catalog.get_artists)
    list_models = _awaitable(models.list_models)
    get_model = _awaitable(models.get_model)
    load_version = _awaitable(models.load_version)
    unload_version = _awaitable(models.unload_version)
    set_label = _awaitable(models.set_label)
    remove_label = _awaitable(models.remove_label)
    rollback = _awaitable(models.rollback)
    get_shadow_report = _awaitable(models.get_shadow_report)
    list_indexes = _awaitable(models.list_indexes)
    rebuild_index = _awaitable(models.rebuild_index)
    get_recall_report = _awaitable(models.get_recall_report)
    list_model_records = _awaitable(models.list_model_records)
    create_experiment = _awaitable(experiments.create_experiment)
    get_experiment = _awaitable(experiments.get_experiment)
    list_experiments = _awaitable(experiments.list_experiments)
    set_traffic = _awaitable(experiments.set_traffic)
    stop_experiment = _awaitable(experiments.stop_experiment)
    promote_arm = _awaitable(experiments.promote_arm)
    report_experiment = _awaitable(experiments.report_experiment)
    evaluate_policy = _awaitable(experiments.evaluate_policy)

    watch_recommendations = _watching(watch.watch_recommendations)
    watch_group = _watching(watch.watch_group)
    get_tilt_policy = _awaitable(learning.get_tilt_policy)
    list_tilt_updates = _awaitable(learning.list_tilt_updates)
    propose_tilt_update = _awaitable(learning.propose_tilt_update)
    revert_tilt_update = _awaitable(learning.revert_tilt_update)

    async def execute(self, call: Call[_ResultT]) -> _ResultT:
        """Make `call` and return its result; the other methods end here. Raises AudoticsError."""
        retries = self._retries if call.repeatable else NO_RETRIES
        attempts = Attempts(retries, timeout_s=self._timeout_s if call.timeout_s is None else call.timeout_s)
        invoke = self._open().unary_unary(call.path)
        while True:
            try:
                answer = await invoke(call.request, timeout=attempts.remaining_s(), metadata=self._metadata)
            except grpc.RpcError as failure:
                error = error_of(failure)
                error.__cause__ = failure
                pause_s = attempts.pause_s(error)
            else:
                return call.read(answer)
            await asyncio.sleep(pause_s)

    async def stream_feedback(
        self, events: Iterable[FeedbackEvent] | AsyncIterable[FeedbackEvent], *, timeout_s: float | None = None
    ) -> AsyncIterator[FeedbackResult]:
        """As `RecommenderClient.stream_feedback`, for events that come from either kind of iteration."""
        stream = feedback.stream_feedback(timeout_s=timeout_s)
        failures: list[Exception] = []

        async def requests() -> AsyncIterator[bytes]:
            try:
                if isinstance(events, AsyncIterable):
                    async for event in events:
                        yield stream.request((event,))
                else:
                    for event in events:
                        yield stream.request((event,))
            except Exception as failure:  # gRPC reads this in a task of its own, and would only log it
                failures.append(failure)

        answers = self._open().stream_stream(stream.path)(requests(), timeout=timeout_s, metadata=self._metadata)
        try:
            async for answer in answers:
                for result in stream.read(answer):
                    yield result
        except grpc.RpcError as failure:
            raise error_of(failure) from failure
        finally:
            answers.cancel()
        if failures:
            raise failures[0]

    async def import_tracks(
        self, tracks: Iterable[Track] | AsyncIterable[Track], *, timeout_s: float | None = None
    ) -> UpsertResult:
        """As `RecommenderClient.import_tracks`, for tracks that come from either kind of iteration."""
        call = catalog.import_tracks(timeout_s=timeout_s)
        answer = self._open().stream_unary(call.path)(timeout=timeout_s, metadata=self._metadata)
        try:
            if isinstance(tracks, AsyncIterable):
                part: list[Track] = []
                async for track in tracks:
                    part.append(track)
                    if len(part) == catalog.TRACKS_A_REQUEST:
                        await answer.write(next(call.requests(part)))
                        part = []
                for request in call.requests(part):
                    await answer.write(request)
            else:
                for request in call.requests(tracks):
                    await answer.write(request)
            await answer.done_writing()
        except (asyncio.InvalidStateError, grpc.RpcError):
            pass  # the call has ended while tracks were being written; its own status says why
        except BaseException:
            answer.cancel()
            raise
        try:
            return call.read(await answer)
        except grpc.RpcError as failure:
            raise error_of(failure) from failure

    async def wait_until_ready(self, timeout_s: float | None = None) -> None:
        """Return once a server is connected. Raises UnavailableError when none is within `timeout_s`."""
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        check_timeout(limit_s)
        try:
            await asyncio.wait_for(self._open().channel_ready(), limit_s)
        except TimeoutError:
            raise UnavailableError(
                f"no server at {self._target} within {limit_s:g} s", grpc.StatusCode.UNAVAILABLE
            ) from None

    async def close(self) -> None:
        """End every call under way and hang up. A second close does nothing."""
        if not self._closed and self._owns_channel and self._channel is not None:
            await self._channel.close()
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _stream(self, stream: Watch[_ResultT]) -> AsyncIterator[_ResultT]:
        answers = self._open().unary_stream(stream.path)(
            stream.request, timeout=stream.timeout_s, metadata=self._metadata
        )
        try:
            async for answer in answers:
                yield stream.read(answer)
        except grpc.RpcError as failure:
            raise error_of(failure) from failure
        finally:
            answers.cancel()

    def _open(self) -> grpc.aio.Channel:
        if self._closed:
            raise RuntimeError("this client is closed; make a new one")
        if self._channel is None:
            self._channel = open_aio_channel(self._target, keepalive=self._keepalive, tls=self._tls)
        return self._channel
