"""The pipeline of a group: a snapshot, its members and a query go in; one list for all of them comes out.

Candidates are those of every member together. Each is scored for each member by the ordinary models, scaled to what it
is worth to them, and a strategy (`groups.py`) makes one list of that.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline import groups
from audotics.server.pipeline.attention import attention
from audotics.server.pipeline.candidates import best_matches
from audotics.server.pipeline.group_explanation import explain
from audotics.server.pipeline.group_query import (
    NOTHING_DONE,
    Deeds,
    GroupQuery,
    GroupRecommendation,
    GroupTrack,
    MemberSatisfaction,
    Strategy,
)
from audotics.server.pipeline.groups import Floats, Variety
from audotics.server.pipeline.made_list import MadeGroupList, is_shown
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.pipeline.recommender import Recommender
from audotics.server.pipeline.reranking import select, utility
from audotics.server.pipeline.shortlist import Shortlist
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import (
    Degradation,
    DegradationReason,
    Listener,
    Objectives,
    RankQuery,
    RecommendQuery,
    Subject,
    multiplied,
)

ResultT = TypeVar("ResultT")

_CANDIDATES: Final = 1000
"""Rows that the members' candidates make together, about; but each member brings as many as the list has places."""
_FEWEST_CANDIDATES: Final = 20
_MOST_COMPARED: Final = 5000
"""Up to so many worths a list is made once for each tilt, to see what they have in common. It holds them until then."""
_AT_ONCE: Final = 8
"""Members that are worked on at a time, so that a large group does not hold up everybody else."""


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """n rows scored for m members: `worth` (m, n) 0..1, and `weights` (m,) that sum up to 1."""

    snapshot: Snapshot
    query: GroupQuery
    listeners: Sequence[Listener]
    shortlists: Sequence[Shortlist]
    rows: NDArray[np.int64]
    worth: Floats
    weights: Floats
    deeds: Deeds
    degraded: Sequence[Degradation]


class GroupRecommender:
    """Makes lists for groups by what the recommender of single listeners says."""

    def __init__(
        self,
        recommender: Recommender,
        *,
        executor: Executor,
        options: PipelineOptions | None = None,
        on_listed: Callable[[MadeGroupList], None] | None = None,
    ) -> None:
        """`on_listed` learns of every list that is shown, on a thread of `executor`, and must not wait."""
        self._recommender = recommender
        self._on_listed = on_listed
        self._executor = executor
        self._options = PipelineOptions() if options is None else options

    async def recommend(
        self,
        snapshot: Snapshot,
        listeners: Sequence[Listener],
        query: GroupQuery,
        *,
        deeds: Deeds = NOTHING_DONE,
        degraded: Sequence[Degradation] = (),
    ) -> GroupRecommendation:
        """One list for the listeners, who are the query's members in their order.

        A track that a member voted for is worth most to them and is among the candidates; one that they voted against
        is worth nothing to them. `degraded` is what the caller left out already. Raises DeadlineError, OverloadedError,
        or InvalidRequestError.
        """
        queries = [_of_member(query, listener, place) for place, listener in enumerate(listeners)]
        barred = np.union1d(_barred(listeners, include_heard=query.include_heard), deeds.done)
        budget = max(query.limit, _CANDIDATES // len(listeners), _FEWEST_CANDIDATES)
        found = await _a_few_at_once(
            [
                partial(self._recommender.candidates, snapshot, replace(listener, seen=barred), asked)
                for listener, asked in zip(listeners, queries, strict=True)
            ]
        )
        tastes = [taste for taste, _ in found]
        loop = asyncio.get_running_loop()
        barred = np.union1d(barred, snapshot.catalog.all_rows_of(query.excluded))
        wished = self._recommender.passing(snapshot, query.filter, np.setdiff1d(_wished(deeds), barred))
        rows = await loop.run_in_executor(self._executor, _union, snapshot, found, wished, budget)
        scored = await _a_few_at_once(
            [
                partial(self._recommender.score, snapshot, taste, rows, _ranked(asked))
                for taste, asked in zip(tastes, queries, strict=True)
            ]
        )
        shortlists = [shortlist.tilted(query.factors) for shortlist in scored]
        group = _Group(
            snapshot=snapshot,
            query=query,
            listeners=listeners,
            shortlists=shortlists,
            rows=rows,
            worth=_worth(rows, shortlists, deeds),
            weights=groups.shares(np.asarray([member.weight for member in query.members])),
            deeds=deeds,
            degraded=tuple(dict.fromkeys([*degraded, *(part for each in shortlists for part in each.degraded)])),
        )
        return await loop.run_in_executor(self._executor, self._list, group, scored)

    def _list(self, group: _Group, untilted: Sequence[Shortlist]) -> GroupRecommendation:
        """The list of a group; `untilted` are its shortlists before the query's tilt."""
        query, left_out = group.query, list(group.degraded)
        strategy, values = _valued(group, left_out, deadline=self._options.latest(query.deadline))
        places, turns = self._placed(group, strategy, values)
        satisfaction = groups.satisfaction(group.worth, places)
        left_out += _missed(group, places, satisfaction)
        answer = self._answer(group, strategy, values, places, turns, satisfaction, left_out)
        if self._on_listed is not None and not is_shown(answer.tracks, query.shown):
            again = query.draw is not None and group.worth.size <= _MOST_COMPARED
            listed_with = partial(self._listed_with, group, untilted, strategy) if again else None
            self._on_listed(_made(group, values, answer, listed_with))
        return answer

    def _placed(self, group: _Group, strategy: Strategy, values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """As `_chosen`, after the swaps of the fairness floor."""
        places, turns = self._chosen(group, strategy, values)
        if not group.query.fairness_floor:
            return places, turns
        variety = self._variety(group, needs_similarity=False)
        floored, helped = groups.raise_floor(
            group.worth, group.weights, places, floor=group.query.fairness_floor, variety=variety
        )
        return floored, np.where(helped >= 0, helped, turns)

    def _listed_with(
        self, group: _Group, untilted: Sequence[Shortlist], strategy: Strategy, factors: Sequence[float]
    ) -> NDArray[np.int64]:
        """The catalogue rows of the list that would have been made had `factors` been drawn."""
        both = multiplied(group.query.tilt, factors)
        shortlists = [shortlist.tilted(both) for shortlist in untilted]
        tilted = replace(group, shortlists=shortlists, worth=_worth(group.rows, shortlists, group.deeds))
        places, _ = self._placed(tilted, strategy, _combined(tilted, strategy))
        return group.rows[places]

    def _chosen(self, group: _Group, strategy: Strategy, values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of the list, and the member whose turn each was, -1 where nobody's."""
        query, options = group.query, self._options.with_settings(group.query.pipeline)
        diversity = options.default_diversity if query.diversity is None else query.diversity
        if strategy is Strategy.FAIRNESS:
            worth = group.worth
            if query.objectives != Objectives():
                worth = groups.worths(np.stack([_useful(group, row) for row in worth]))
            return groups.fair_turns(
                worth, group.weights, limit=query.limit, variety=self._variety(group, needs_similarity=diversity > 0)
            )
        shortlist = group.shortlists[0]
        places = select(
            _useful(group, values),
            embed=lambda pool: shortlist.embeddings(group.snapshot, pool),
            artists=group.snapshot.catalog.artist_codes.take(group.rows),
            limit=query.limit,
            diversity=diversity,
            artist_cap=options.artist_cap,
        )
        return places, np.full(len(places), -1)

    def _variety(self, group: _Group, *, needs_similarity: bool) -> Variety:
        query, options = group.query, self._options.with_settings(group.query.pipeline)
        artists = group.snapshot.catalog.artist_codes.take(group.rows)
        n = len(group.rows)
        similarity = np.zeros((n, n), np.float32)
        if needs_similarity:
            embeddings = group.shortlists[0].embeddings(group.snapshot, np.arange(n))
            if embeddings is None:
                similarity = np.asarray((artists[:, None] == artists) & (artists >= 0), np.float32)
            else:
                similarity = embeddings @ embeddings.T
        diversity = options.default_diversity if query.diversity is None else query.diversity
        return Variety(similarity, artists, diversity, options.artist_cap)

    def _answer(
        self,
        group: _Group,
        strategy: Strategy,
        values: Floats,
        places: NDArray[np.int64],
        turns: NDArray[np.int64],
        satisfaction: Floats,
        degraded: Sequence[Degradation],
    ) -> GroupRecommendation:
        snapshot, query = group.snapshot, group.query
        columns, rows = snapshot.catalog.columns, group.rows[places]
        names = [member.user_id for member in query.members]
        texts = zip(columns.ids[rows], columns.titles[rows], columns.artists[rows], strict=True)
        tracks = tuple(
            GroupTrack(*text, score=score, chosen_for=names[turn] if turn >= 0 else "")
            for text, score, turn in zip(texts, values[places].tolist(), turns.tolist(), strict=True)
        )
        if query.explain:
            relevance = [shortlist.relevance for shortlist in group.shortlists]
            tracks = explain(tracks, relevance, group.worth, group.weights, places, names=names)
        left_out = {part.part for part in degraded}
        versions = [version for version in snapshot.model_versions if version[0] not in left_out]
        if strategy is Strategy.LEARNED_ATTENTION and snapshot.group is not None:
            versions.append(("group", snapshot.group.version))
        numbers = zip(names, satisfaction.tolist(), group.weights.tolist(), strict=True)
        return GroupRecommendation(
            recommendation_id=uuid.uuid4().hex,
            tracks=tracks,
            model_versions=tuple(versions),
            index_version=snapshot.index_version,
            degraded=(*degraded, *snapshot.degraded),
            members=tuple(MemberSatisfaction(*member) for member in numbers),
            harmony=groups.harmony(satisfaction),
            strategy=strategy,
            exposures=query.exposures,
        )


def _made(
    group: _Group,
    values: Floats,
    answer: GroupRecommendation,
    listed_with: Callable[[Sequence[float]], NDArray[np.int64]] | None,
) -> MadeGroupList:
    query = group.query
    return MadeGroupList(
        group.snapshot,
        query.context,
        group.rows,
        values,
        answer,
        group_key=query.key if query.exposures or query.draw is not None else "",
        history_length=round(np.mean([shortlist.taste.history_length for shortlist in group.shortlists])),
        tilt=query.tilt,
        draw=query.draw,
        listed_with=listed_with,
    )


def _valued(group: _Group, left_out: list[Degradation], *, deadline: float | None) -> tuple[Strategy, Floats]:
    """The strategy that makes the list, and what it makes of the worths, (n,); adds to `left_out` what is missing."""
    strategy = group.query.strategy or Strategy.AVERAGE
    combined = _combined(group, strategy)
    if strategy is not Strategy.LEARNED_ATTENTION:
        return strategy, combined
    values = attention(
        group.snapshot,
        group.listeners,
        group.rows,
        weights=group.weights,
        deeds=group.deeds,
        otherwise=combined,
        deadline=deadline,
    )
    if isinstance(values, np.ndarray):
        return strategy, values
    left_out += values
    return Strategy.AVERAGE, combined


def _combined(group: _Group, strategy: Strategy) -> Floats:
    """What a strategy makes of the worths, (n,): the average where it is not a matter of worths alone."""
    match strategy:
        case Strategy.LEAST_MISERY:
            return groups.least_misery(group.worth, group.weights)
        case Strategy.MOST_PLEASURE:
            return groups.most_pleasure(group.worth, group.weights)
        case _:
            return groups.average(group.worth, group.weights)


def _useful(group: _Group, values: Floats) -> NDArray[np.float32]:
    return utility(
        values.astype(np.float32), group.rows, signals=group.snapshot.catalog.signals, objectives=group.query.objectives
    )


def _missed(group: _Group, places: NDArray[np.int64], satisfaction: Floats) -> list[Degradation]:
    """What was asked for and is not there: tracks, and the floor."""
    query, missed = group.query, []
    if len(places) < query.limit:
        detail = f"{len(places)} of {query.limit}: no more tracks pass the filter and the exclusions"
        missed.append(Degradation("candidates", DegradationReason.FEW_MATCHES, detail))
    below = np.flatnonzero((group.weights > 0) & (satisfaction < (query.fairness_floor or 0.0) - 1e-9))
    if len(below):
        worst = below[np.argsort(satisfaction[below], kind="stable")][:5]
        named = ", ".join(f"{query.members[place].user_id!r} at {satisfaction[place]:.0%}" for place in worst)
        more = f" and {len(below) - len(worst)} more" if len(below) > len(worst) else ""
        detail = f"below {query.fairness_floor:.0%} of their best list stay {named}{more}; no swap of tracks helps"
        missed.append(Degradation("fairness_floor", DegradationReason.UNATTAINABLE, detail))
    return missed


def _of_member(query: GroupQuery, listener: Listener, place: int) -> RecommendQuery:
    """What the member's own list would be asked for, in their own context when the group's has none."""
    return RecommendQuery(
        subject=Subject("user", user_id=query.members[place].user_id),
        limit=query.limit,
        context=query.context if query.context.asks else replace(listener.context, day_part=query.context.day_part),
        filter=query.filter,
        excluded=query.excluded,
        deadline=query.deadline,
        models=query.models,
        caller=query.caller,
        pipeline=query.pipeline,
    )


def _ranked(query: RecommendQuery) -> RankQuery:
    return RankQuery(query.subject, (), context=query.context, deadline=query.deadline, caller=query.caller)


def _barred(listeners: Sequence[Listener], *, include_heard: bool) -> NDArray[np.int64]:
    """Rows that must not come: what anybody saw, or only what anybody turned down. Ascending."""
    rows = [np.setdiff1d(listener.seen, listener.history) if include_heard else listener.seen for listener in listeners]
    return np.unique(np.concatenate(rows))


def _wished(deeds: Deeds) -> NDArray[np.int64]:
    """Rows that were voted for; of more than _CANDIDATES those with the most votes."""
    rows, counts = np.unique(deeds.voted_rows[deeds.votes_for], return_counts=True)
    return rows[np.argsort(-counts, kind="stable")[:_CANDIDATES]]


def _worth(rows: NDArray[np.int64], shortlists: Sequence[Shortlist], deeds: Deeds) -> Floats:
    """What `rows` (n,), ascending, are worth to the members (m, n): their scores scaled, or what they voted."""
    if not len(rows):
        return np.empty((len(shortlists), 0))
    worth = groups.worths(np.stack([shortlist.relevance.score for shortlist in shortlists]))
    places = np.minimum(np.searchsorted(rows, deeds.voted_rows), len(rows) - 1)
    there = rows[places] == deeds.voted_rows
    worth[deeds.voters[there], places[there]] = deeds.votes_for[there]
    return worth


def _union(
    snapshot: Snapshot,
    found: Sequence[tuple[Taste, NDArray[np.int64]]],
    wished: NDArray[np.int64],
    budget: int,
) -> NDArray[np.int64]:
    """The members' best candidates together, ascending."""
    return np.unique(
        np.concatenate([wished, *(best_matches(snapshot, taste, rows, limit=budget) for taste, rows in found)])
    )


async def _a_few_at_once(work: Sequence[Callable[[], Awaitable[ResultT]]]) -> list[ResultT]:
    """The results in order. The first failure stops the rest."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def taken(one: Callable[[], Awaitable[ResultT]]) -> ResultT:
        async with turns:
            return await one()

    tasks = [asyncio.ensure_future(taken(one)) for one in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
