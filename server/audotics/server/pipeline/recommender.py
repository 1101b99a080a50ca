"""The pipeline: a snapshot, a listener and a query go in; candidates, filter, scoring and re-ranking make the answer.

A request whose shortlist is remembered is answered at once. Any other runs from end to end in one hop to the executor
when it is alone; when others are under way, its rows are scored together with theirs in the row batcher.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from audotics.server.batching.batcher import RowBatcher
from audotics.server.errors import DeadlineError
from audotics.server.pipeline.answer import present
from audotics.server.pipeline.candidates import ContextOrders, best_matches, choose_candidates
from audotics.server.pipeline.filters import NO_FILTER, FilterMasks
from audotics.server.pipeline.made_list import MadeList
from audotics.server.pipeline.neighbourhood import SearchDepth, search
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.pipeline.reranking import select, utility
from audotics.server.pipeline.scoring import NeuralScoring, ScoredRows, ScoringJob, needs_models
from audotics.server.pipeline.shortlist import Shortlist, Shortlists
from audotics.server.pipeline.similarity import find_similar
from audotics.server.pipeline.slate import Slate
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.snapshot import Snapshot
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
)

_LARGE_SLATE: Final = 1000
"""From so many rows on, finishing a list takes long enough to be kept off the event loop."""


class Recommender:
    """Answers `Recommend`, `RankTracks` and `SimilarTracks` on a snapshot. Use it as an async context manager."""

    def __init__(
        self,
        *,
        executor: Executor,
        options: PipelineOptions | None = None,
        on_listed: Callable[[MadeList], None] | None = None,
    ) -> None:
        """`on_listed` learns of every list of `recommend`, from whatever thread made it, and must not wait."""
        self._executor = executor
        self._on_listed = on_listed
        self._options = PipelineOptions() if options is None else options
        self._masks = FilterMasks()
        self._orders = ContextOrders()
        self._shortlists = Shortlists()
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

    async def recommend(
        self, snapshot: Snapshot, listener: Listener, query: RecommendQuery, *, degraded: Sequence[Degradation] = ()
    ) -> Recommendation:
        """The best tracks for a listener, none of them seen, excluded or failing the filter.

        `degraded` is what the caller left out already. Raises DeadlineError, OverloadedError, or InvalidRequestError.
        """
        _check_deadline(query.deadline)
        known = self._shortlists.find(snapshot, listener, query)
        if known is not None and len(known.rows) < _LARGE_SLATE:
            return self._list(snapshot, query, degraded, known)
        candidates = partial(self._candidates, snapshot, listener, query)
        finish = partial(self._finish, snapshot, listener, query, degraded)
        return await self._answer(snapshot, query, candidates, finish)

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
        given = partial(_given, snapshot, listener, rows, query.context)
        return await self._answer(snapshot, query, given, partial(_ranking, snapshot, query, degraded))

    def forget(self, user_id: str) -> int:
        """Drop what is remembered of a listener, and say how many lists that were."""
        return self._shortlists.forget(user_id)

    async def similar(self, snapshot: Snapshot, query: SimilarQuery) -> Similarity:
        """The tracks that sound most like a track, features or a vector, the nearest first.

        Raises NotFoundError for an unknown track, InvalidRequestError for a vector that does not fit, DeadlineError.
        """
        _check_deadline(query.deadline)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, find_similar, snapshot, query, self._masks)

    async def _answer(
        self,
        snapshot: Snapshot,
        query: RecommendQuery | RankQuery,
        gather: Callable[[], Slate],
        finish: Callable[[Slate, ScoredRows], Recommendation],
    ) -> Recommendation:
        deadline = query.deadline
        _check_deadline(deadline)
        loop = asyncio.get_running_loop()
        latest = None if deadline is None else deadline - self._options.deadline_reserve_s
        self._under_way += 1
        try:
            if self._under_way == 1:
                return await loop.run_in_executor(
                    self._executor, self._answer_alone, snapshot, deadline, latest, gather, finish
                )
            slate = await loop.run_in_executor(self._executor, gather)
            scored = await self._score(snapshot, slate, latest=latest, caller=query.caller)
            _check_deadline(deadline)
            if len(slate.rows) < _LARGE_SLATE:
                return finish(slate, scored)
            return await loop.run_in_executor(self._executor, finish, slate, scored)
        finally:
            self._under_way -= 1

    def _answer_alone(
        self,
        snapshot: Snapshot,
        deadline: float | None,
        latest: float | None,
        gather: Callable[[], Slate],
        finish: Callable[[Slate, ScoredRows], Recommendation],
    ) -> Recommendation:
        slate = gather()
        if not needs_models(snapshot, slate):
            scored = ScoredRows.without_models(slate)
        elif latest is None or time.monotonic() < latest:
            (scored,) = self._scoring.run([ScoringJob.of(snapshot, slate)])
        else:
            scored = ScoredRows.too_late(snapshot, slate)
        _check_deadline(deadline)
        return finish(slate, scored)

    async def _score(self, snapshot: Snapshot, slate: Slate, *, latest: float | None, caller: Caller) -> ScoredRows:
        if not needs_models(snapshot, slate):
            return ScoredRows.without_models(slate)
        try:
            return await self._batcher.submit(ScoringJob.of(snapshot, slate), deadline=latest, caller=caller)
        except DeadlineError:
            return ScoredRows.too_late(snapshot, slate)

    def _candidates(self, snapshot: Snapshot, listener: Listener, query: RecommendQuery) -> Slate:
        catalog = snapshot.catalog
        passing = self._masks.mask(catalog, query.filter)
        allowed = passing.copy()
        allowed[listener.seen] = False
        excluded = catalog.all_rows_of(query.excluded)
        allowed[excluded[excluded >= 0]] = False
        passing_share = 1.0
        if query.filter != NO_FILTER:
            passing_share = np.count_nonzero(passing) / max(catalog.live_count, 1)
        if passing_share <= self._options.selective_share:
            taste = Taste.read(snapshot, listener.history)
            most = max(query.limit, self._options.exact_rows)
            rows = best_matches(snapshot, taste, np.flatnonzero(allowed), limit=most)
            return Slate.measure(snapshot, taste, query.context, rows=rows)
        filtered = query.filter != NO_FILTER  # the indexes are then searched for what is allowed, and find nothing else
        n_seen = 0 if filtered else len(listener.seen)
        depth = SearchDepth.of(self._options, limit=query.limit, passing_share=1.0, n_seen=n_seen)
        taste = Taste.read(snapshot, listener.history)
        rows = choose_candidates(
            snapshot,
            search(snapshot, taste, depth, allowed=allowed if filtered else None),
            query.context,
            allowed=allowed,
            limit=query.limit,
            options=self._options,
            orders=self._orders,
        )
        return Slate.measure(snapshot, taste, query.context, rows=rows)

    def _finish(
        self,
        snapshot: Snapshot,
        listener: Listener,
        query: RecommendQuery,
        degraded: Sequence[Degradation],
        slate: Slate,
        scored: ScoredRows,
    ) -> Recommendation:
        shortlist = Shortlist.of(slate, scored)
        self._shortlists.put(snapshot, listener, query, shortlist)
        return self._list(snapshot, query, degraded, shortlist)

    def _list(
        self, snapshot: Snapshot, query: RecommendQuery, degraded: Sequence[Degradation], shortlist: Shortlist
    ) -> Recommendation:
        catalog, options, rows = snapshot.catalog, self._options, shortlist.rows
        places = select(
            utility(shortlist.relevance.score, rows, signals=catalog.signals, objectives=query.objectives),
            embed=partial(shortlist.embeddings, snapshot),
            artists=catalog.artist_codes.take(rows),
            limit=query.limit,
            diversity=options.default_diversity if query.diversity is None else query.diversity,
            artist_cap=options.artist_cap,
        )
        left_out = [*degraded, *shortlist.degraded]
        if len(places) < query.limit:
            detail = f"{len(places)} of {query.limit}: no more tracks pass the filter and the exclusions"
            left_out.append(Degradation("candidates", DegradationReason.FEW_MATCHES, detail))
        answer = present(snapshot, shortlist, places, query, degraded=left_out)
        if self._on_listed is not None:
            self._on_listed(MadeList(snapshot, query, shortlist, answer))
        return answer


def _given(snapshot: Snapshot, listener: Listener, rows: NDArray[np.int64], context: Context) -> Slate:
    return Slate.measure(snapshot, Taste.read(snapshot, listener.history), context, rows=rows)


def _ranking(
    snapshot: Snapshot, query: RankQuery, degraded: Sequence[Degradation], slate: Slate, scored: ScoredRows
) -> Recommendation:
    shortlist = Shortlist.of(slate, scored)
    places = np.argsort(-shortlist.relevance.score, kind="stable")
    return present(snapshot, shortlist, places, query, degraded=(*degraded, *shortlist.degraded))


def _check_deadline(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise DeadlineError("the deadline passed before the list was made")
