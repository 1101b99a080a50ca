"""The pipeline: a snapshot, a listener and a query go in; candidates, filter, scoring and re-ranking make the answer.

A request whose shortlist is remembered is answered at once. Any other runs from end to end in one hop to the executor
when it is alone; when others are under way, its rows are scored together with theirs in the row batcher. What is not
done when the deadline is near goes on for the next time, and the answer is an earlier list or a popular one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from audotics.server.batching.batcher import RowBatcher
from audotics.server.batching.workload import work_on
from audotics.server.errors import DeadlineError
from audotics.server.pipeline.answer import present
from audotics.server.pipeline.candidates import ContextOrders, best_matches, choose_candidates
from audotics.server.pipeline.fallback import earlier_list, popular_list
from audotics.server.pipeline.filters import NO_FILTER, FilterMasks
from audotics.server.pipeline.list_memory import ListMemory, Place, Remembered
from audotics.server.pipeline.made_list import MadeList, is_shown
from audotics.server.pipeline.neighbourhood import SearchDepth, search
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.pipeline.scoring import NeuralScoring, ScoredRows, ScoringJob, needs_models
from audotics.server.pipeline.selection import Selection
from audotics.server.pipeline.shortlist import Shortlist
from audotics.server.pipeline.similarity import find_similar
from audotics.server.pipeline.slate import Slate
from audotics.server.pipeline.taste import Taste
from audotics.server.pipeline.time_left import check_deadline, seconds_until
from audotics.server.repository.snapshot import Snapshot
from audotics.server.runtime.model import InferenceError
from audotics.server.storage.cache.flights import Flights
from audotics.server.types import (
    Caller,
    Context,
    Degradation,
    DegradationReason,
    Listener,
    RankQuery,
    Recommendation,
    RecommendQuery,
    Similarity,
    SimilarQuery,
    TrackFilter,
)

AnswerT = TypeVar("AnswerT")

_LARGE_SLATE: Final = 1000
"""From so many rows on, finishing a list takes long enough to be kept off the event loop."""


class Recommender:
    """Answers `Recommend`, `RankTracks` and `SimilarTracks` on a snapshot. Use it as an async context manager."""

    def __init__(
        self,
        *,
        executor: Executor,
        options: PipelineOptions | None = None,
        memory: ListMemory | None = None,
        on_listed: Callable[[MadeList], None] | None = None,
    ) -> None:
        """`on_listed` learns of every list of `recommend` that its caller is shown, and must not wait."""
        self._executor = executor
        self._on_listed = on_listed
        self._options = PipelineOptions() if options is None else options
        self._masks = FilterMasks()
        self._orders = ContextOrders()
        self._memory = ListMemory() if memory is None else memory
        self._flights = Flights()
        self._unfinished: set[asyncio.Future[Any]] = set()
        self._scoring = NeuralScoring()
        self._batcher: RowBatcher[ScoringJob, ScoredRows] = RowBatcher(
            self._scoring, executor=executor, limits=self._options.batching
        )
        self._under_way = 0

    async def __aenter__(self) -> Self:
        await self._batcher.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._batcher.__aexit__(kind, error, trace)
        if self._unfinished:
            await asyncio.wait(self._unfinished)

    async def recommend(
        self, snapshot: Snapshot, listener: Listener, query: RecommendQuery, *, degraded: Sequence[Degradation] = ()
    ) -> Recommendation:
        """The best tracks for a listener, none of them seen, excluded or failing the filter.

        `degraded` is what the caller left out already. Raises DeadlineError, OverloadedError, or InvalidRequestError.
        """
        check_deadline(query.deadline)
        if listener.erased_at is not None:
            query = replace(query, erased_at=listener.erased_at)
        place = Place.of(snapshot, listener, query)
        known = self._memory.recall(place)
        if known is not None and known.answers(place) and len(known.shortlist.rows) < _LARGE_SLATE:
            made = self._list(snapshot, query, degraded, known.shortlist)
        else:
            made = await self._list_anew(place, query, degraded, known)
        if self._on_listed is not None and not is_shown(made.answer.tracks, query.shown):
            self._on_listed(made)
        return made.answer

    @property
    def batcher(self) -> RowBatcher[ScoringJob, ScoredRows]:
        """What scores the rows of requests that are under way together."""
        return self._batcher

    async def rank(
        self,
        snapshot: Snapshot,
        listener: Listener,
        rows: NDArray[np.int64],
        query: RankQuery,
        *,
        degraded: Sequence[Degradation] = (),
    ) -> Recommendation:
        """All of the given catalogue `rows`, seen or not, the most relevant first. Raises as `recommend` does."""
        given = partial(_given, snapshot, listener, rows, query.context, deadline=self._options.latest(query.deadline))
        return await self._answer(snapshot, query, given, partial(_ranking, snapshot, query, degraded))

    async def forget(self, user_id: str) -> int:
        """Drop what is remembered of a listener, and say how many lists that were.

        Raises CacheError when a cache that servers share cannot be reached, so that some may be left in it.
        """
        return await self._memory.forget(user_id)

    async def candidates(
        self, snapshot: Snapshot, listener: Listener, query: RecommendQuery
    ) -> tuple[Taste, NDArray[np.int64]]:
        """What a listener likes, and the distinct rows that would be scored for them. Raises DeadlineError."""
        check_deadline(query.deadline)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._candidate_rows, snapshot, listener, query)

    def passing(self, snapshot: Snapshot, track_filter: TrackFilter, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of `rows` (n,) that pass a filter and are not deleted. Raises InvalidRequestError."""
        return rows[self._masks.mask(snapshot.catalog, track_filter)[rows]]

    async def score(
        self, snapshot: Snapshot, taste: Taste, rows: NDArray[np.int64], query: RankQuery | RecommendQuery
    ) -> Shortlist:
        """These rows, scored for one listener in the query's context. Raises as `recommend` does."""
        measure = partial(Slate.measure, snapshot, taste, query.context, rows=rows)
        return await self._answer(snapshot, query, measure, Shortlist.of)

    async def similar(self, snapshot: Snapshot, query: SimilarQuery) -> Similarity:
        """The tracks that sound most like a track, features or a vector, the nearest first.

        Raises NotFoundError for an unknown track, InvalidRequestError for a vector that does not fit, DeadlineError.
        """
        check_deadline(query.deadline)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, find_similar, snapshot, query, self._masks)

    async def _answer(
        self,
        snapshot: Snapshot,
        query: RecommendQuery | RankQuery,
        gather: Callable[[], Slate],
        finish: Callable[[Slate, ScoredRows], AnswerT],
    ) -> AnswerT:
        deadline = query.deadline
        check_deadline(deadline)
        loop = asyncio.get_running_loop()
        latest = self._options.latest(deadline)
        self._under_way += 1
        try:
            if self._under_way == 1:
                self._batcher.counts.alone += 1
                return await loop.run_in_executor(self._executor, self._answer_alone, snapshot, latest, gather, finish)
            slate = await loop.run_in_executor(self._executor, gather)
            scored = await self._score(snapshot, slate, latest=latest, caller=query.caller)
            if len(slate.rows) < _LARGE_SLATE:
                return finish(slate, scored)
            return await loop.run_in_executor(self._executor, finish, slate, scored)
        finally:
            self._under_way -= 1

    def _answer_alone(
        self,
        snapshot: Snapshot,
        latest: float | None,
        gather: Callable[[], Slate],
        finish: Callable[[Slate, ScoredRows], AnswerT],
    ) -> AnswerT:
        slate = gather()
        if not needs_models(snapshot, slate):
            scored = ScoredRows.without_models(slate)
        elif latest is None or time.monotonic() < latest:
            (scored,) = work_on(self._scoring, [ScoringJob.of(snapshot, slate, deadline=latest)])
        else:
            scored = ScoredRows.too_late(snapshot, slate)
        return finish(slate, scored)

    async def _score(self, snapshot: Snapshot, slate: Slate, *, latest: float | None, caller: Caller) -> ScoredRows:
        if not needs_models(snapshot, slate):
            return ScoredRows.without_models(slate)
        try:
            job = ScoringJob.of(snapshot, slate, deadline=latest)
            return await self._batcher.submit(job, deadline=latest, caller=caller)
        except DeadlineError:
            return ScoredRows.too_late(snapshot, slate)

    async def _list_anew(
        self, place: Place, query: RecommendQuery, degraded: Sequence[Degradation], earlier: Remembered | None
    ) -> MadeList:
        """Of several who want the same list at once, one makes it; the others wait for it, but not twice."""
        snapshot = place.snapshot
        latest = None if query.deadline is None else query.deadline - self._options.fallback_reserve_s
        key = (place.owner, place.question) if place.exact else object()
        if await self._flights.wait(key, timeout_s=seconds_until(latest)):
            earlier = self._memory.recall(place) or earlier
        if earlier is None or not earlier.answers(place):
            earlier = await self._asked(place, latest) or earlier
        if earlier is not None and earlier.answers(place):
            return await self._off_loop_list(snapshot, query, degraded, earlier.shortlist)
        with self._flights.making(key):
            making = asyncio.ensure_future(self._made(place, query, degraded))
            self._unfinished.add(making)
            making.add_done_callback(self._unfinished.discard)
            try:
                await asyncio.wait((making,), timeout=seconds_until(latest))
                if not making.done():
                    making.add_done_callback(_let_go)
                    return self._fall_back(place, query, degraded, earlier, DegradationReason.DEADLINE)
                made = making.result()
            except asyncio.CancelledError:
                making.cancel()
                raise
            except InferenceError:
                return self._fall_back(place, query, degraded, earlier, DegradationReason.FAILED)
        failed = any(part.reason is DegradationReason.FAILED for part in made.shortlist.degraded)
        if failed and earlier is not None and len(place.listener.history) and not made.shortlist.personal:
            return self._fall_back(place, query, degraded, earlier, DegradationReason.FAILED)
        return made

    async def _asked(self, place: Place, latest: float | None) -> Remembered | None:
        if not self._memory.shares:
            return None
        try:
            async with asyncio.timeout(seconds_until(latest)):
                return await self._memory.ask(place)
        except TimeoutError:
            return None

    async def _made(self, place: Place, query: RecommendQuery, degraded: Sequence[Degradation]) -> MadeList:
        """The list from the models, and its shortlist remembered, unless a model or the user's events took no part."""
        started = time.perf_counter()
        longest = replace(query, limit=place.question.limit)  # it will answer for lists of up to that length
        candidates = partial(self._candidates, place.snapshot, place.listener, longest)
        finish = partial(self._finish, place.snapshot, query, degraded)
        made = await self._answer(place.snapshot, query, candidates, finish)
        failed = any(part.reason is DegradationReason.FAILED for part in degraded)
        if place.exact and not failed and not made.shortlist.degraded:
            self._memory.keep(place, made.untilted, cost_s=time.perf_counter() - started)
        return made

    def _fall_back(
        self,
        place: Place,
        query: RecommendQuery,
        degraded: Sequence[Degradation],
        earlier: Remembered | None,
        reason: DegradationReason,
    ) -> MadeList:
        _, allowed = self._allowed(place.snapshot, place.listener, query)
        left = None
        if earlier is not None:
            age_s = self._memory.age_s(earlier)
            left = earlier_list(earlier.shortlist, allowed=allowed, limit=query.limit, age_s=age_s, reason=reason)
            query = replace(query, erased_at=None)  # it may be of before that
        if left is None:
            most = max(self._options.minimum_candidates, 2 * query.limit)
            left = popular_list(place.snapshot, place.listener, allowed=allowed, most=most, reason=reason)
        return self._list(place.snapshot, query, degraded, left)

    def _allowed(
        self, snapshot: Snapshot, listener: Listener, query: RecommendQuery
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """bool (n,) each: the tracks that pass the filter, and those of them that are neither seen nor excluded."""
        catalog = snapshot.catalog
        passing = self._masks.mask(catalog, query.filter)
        allowed = passing.copy()
        allowed[listener.seen] = False
        excluded = catalog.all_rows_of(query.excluded)
        allowed[excluded[excluded >= 0]] = False
        return passing, allowed

    def _candidates(self, snapshot: Snapshot, listener: Listener, query: RecommendQuery) -> Slate:
        taste, rows = self._candidate_rows(snapshot, listener, query)
        return Slate.measure(snapshot, taste, query.context, rows=rows)

    def _candidate_rows(
        self, snapshot: Snapshot, listener: Listener, query: RecommendQuery
    ) -> tuple[Taste, NDArray[np.int64]]:
        check_deadline(query.deadline)  # it may have waited for a thread until nobody waited for it
        catalog, options = snapshot.catalog, self._options.with_settings(query.pipeline)
        latest = self._options.latest(query.deadline)
        passing, allowed = self._allowed(snapshot, listener, query)
        passing_share = 1.0
        if query.filter != NO_FILTER:
            passing_share = np.count_nonzero(passing) / max(catalog.live_count, 1)
        if passing_share <= options.selective_share:
            taste = Taste.read(snapshot, listener.history, deadline=latest)
            most = max(query.limit, options.exact_rows)
            return taste, best_matches(snapshot, taste, np.flatnonzero(allowed), limit=most)
        filtered = query.filter != NO_FILTER  # the indexes are then searched for what is allowed, and find nothing else
        n_seen = 0 if filtered else len(listener.seen)
        depth = SearchDepth.of(options, limit=query.limit, n_seen=n_seen)
        taste = Taste.read(snapshot, listener.history, deadline=latest)
        rows = choose_candidates(
            snapshot,
            search(snapshot, taste, depth, allowed=allowed if filtered else None),
            query.context,
            allowed=allowed,
            limit=query.limit,
            options=options,
            orders=self._orders,
        )
        return taste, rows

    def _finish(
        self,
        snapshot: Snapshot,
        query: RecommendQuery,
        degraded: Sequence[Degradation],
        slate: Slate,
        scored: ScoredRows,
    ) -> MadeList:
        return self._list(snapshot, query, degraded, Shortlist.of(slate, scored))

    async def _off_loop_list(
        self, snapshot: Snapshot, query: RecommendQuery, degraded: Sequence[Degradation], shortlist: Shortlist
    ) -> MadeList:
        """As `_list`, on a thread when it takes long."""
        if len(shortlist.rows) < _LARGE_SLATE:
            return self._list(snapshot, query, degraded, shortlist)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._list, snapshot, query, degraded, shortlist)

    def _list(
        self, snapshot: Snapshot, query: RecommendQuery, degraded: Sequence[Degradation], shortlist: Shortlist
    ) -> MadeList:
        options = self._options.with_settings(query.pipeline)
        untilted, shortlist = shortlist, shortlist.tilted(query.factors)
        selection = Selection(
            limit=query.limit,
            objectives=query.objectives,
            diversity=options.default_diversity if query.diversity is None else query.diversity,
            artist_cap=options.artist_cap,
        )
        places = selection.places(snapshot, shortlist)
        left_out = [*degraded, *shortlist.degraded]
        if len(places) < query.limit:
            detail = f"{len(places)} of {query.limit}: no more tracks pass the filter and the exclusions"
            left_out.append(Degradation("candidates", DegradationReason.FEW_MATCHES, detail))
        answer = present(snapshot, shortlist, places, query, degraded=left_out)
        return MadeList(snapshot, query, shortlist, answer, untilted, selection)


def _given(
    snapshot: Snapshot, listener: Listener, rows: NDArray[np.int64], context: Context, *, deadline: float | None
) -> Slate:
    return Slate.measure(snapshot, Taste.read(snapshot, listener.history, deadline=deadline), context, rows=rows)


def _ranking(
    snapshot: Snapshot, query: RankQuery, degraded: Sequence[Degradation], slate: Slate, scored: ScoredRows
) -> Recommendation:
    check_deadline(query.deadline)
    shortlist = Shortlist.of(slate, scored).tilted(query.factors)
    places = np.argsort(-shortlist.relevance.score, kind="stable")
    return present(snapshot, shortlist, places, query, degraded=(*degraded, *shortlist.degraded))


def _let_go(making: asyncio.Future[MadeList]) -> None:
    """A list that came too late for its caller may fail, and nobody is told."""
    if not making.cancelled():
        making.exception()
