"""`RecommendGroup`: members or a session and what they want go in, one list for all of them comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audotics.features.groups import GroupEvents
from audotics.server.errors import FieldViolation, IdleSessionError
from audotics.server.pipeline.group_query import (
    NOTHING_DONE,
    Deeds,
    GroupMember,
    GroupQuery,
    GroupRecommendation,
    Strategy,
)
from audotics.server.pipeline.group_recommender import GroupRecommender
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.registry import Registry
from audotics.server.repository.snapshot import Snapshot
from audotics.server.services.arms import on_snapshot
from audotics.server.services.assigner import Assigner
from audotics.server.services.attempt import Attempt
from audotics.server.services.learning import Learning
from audotics.server.services.listeners import Listeners
from audotics.server.services.sessions import SessionService, session_name
from audotics.server.storage.sessions import StoredSession
from audotics.server.types import Listener, Subject


@dataclass(frozen=True, slots=True)
class GroupListened:
    """A list, whose members it was made for, and whether its session has ended, so that none will follow."""

    answer: GroupRecommendation
    user_ids: tuple[str, ...]
    ended: bool = False


class RecommendGroupService:
    """Resolves the members and the group's arms of experiments, and runs its pipeline, all on one snapshot."""

    def __init__(
        self,
        *,
        registry: Registry,
        listeners: Listeners,
        recommender: GroupRecommender,
        sessions: SessionService,
        assigner: Assigner | None = None,
        learning: Learning | None = None,
    ) -> None:
        """With `learning`, lists whose caller leaves the models to the server are made with a drawn tilt."""
        self._assigner = assigner
        self._learning = learning
        self._registry = registry
        self._listeners = listeners
        self._recommender = recommender
        self._sessions = sessions

    async def recommend(self, query: GroupQuery) -> GroupRecommendation:
        """Raises NotFoundError for unknown versions or sessions, NotReadyError, DeadlineError, OverloadedError."""
        return (await self.listen(query)).answer

    async def members(self, query: GroupQuery) -> tuple[str, ...]:
        """Who they are now, by their ids. Raises NotFoundError, StorageError."""
        session = await self._sessions.get(query.session_id) if query.session_id else None
        return tuple(member.user_id for member in (query.members if session is None else session.members))

    async def listen(self, query: GroupQuery) -> GroupListened:
        """As `recommend`; with what a watcher has to follow. Raises IdleSessionError while nobody is in the session."""
        asked = query
        assigned = on_snapshot(asked, registry=self._registry, assigner=self._assigner)
        query, snapshot = assigned.query, assigned.snapshot
        session = await self._sessions.get(query.session_id) if query.session_id else None
        if session is not None:
            query = _of_session(query, session)
        subjects = [Subject("user", user_id=member.user_id) for member in query.members]
        resolved = await asyncio.gather(*(self._listeners.resolve(subject, snapshot.catalog) for subject in subjects))
        degraded = [*assigned.degraded, *(part for _, parts in resolved for part in parts)]
        listeners, deeds = [listener for listener, _ in resolved], NOTHING_DONE
        if session is not None:
            listeners, deeds = _after(session, listeners, snapshot.catalog)
        if asked.models is None:
            query = self._drawn(query, snapshot)
        attempt = Attempt()
        try:
            with attempt:
                answer = await self._recommender.recommend(snapshot, listeners, query, deeds=deeds, degraded=degraded)
                attempt.answered(answer.degraded)
        finally:
            if self._assigner is not None and query.exposures:
                self._assigner.observe(
                    query.exposures,
                    elapsed_s=attempt.elapsed_s,
                    failed=attempt.failed,
                    members=len(query.members),
                )
        user_ids = tuple(member.user_id for member in query.members)
        return GroupListened(answer, user_ids, ended=session is not None and session.ended_at is not None)

    def _drawn(self, query: GroupQuery, snapshot: Snapshot) -> GroupQuery:
        """The query with a tilt, where learning is on and members' scores make the list."""
        if self._learning is None or query.strategy is Strategy.LEARNED_ATTENTION:
            return query
        hybrid = 0 if snapshot.hybrid is None else snapshot.hybrid.version
        draw = self._learning.draw_group(query.key, query.context, arm=query.arm_key, hybrid=hybrid)
        return replace(query, draw=draw)


def _of_session(query: GroupQuery, session: StoredSession) -> GroupQuery:
    """The query with the session's members, and its strategy and floor where it has none itself."""
    name = session_name(session.session_id)
    if not session.members:
        raise IdleSessionError([FieldViolation("session", f"{name} has no members; let somebody join first")])
    if not any(member.weight for member in session.members):
        raise IdleSessionError([FieldViolation("session", f"{name} has no member of a weight above 0; raise one")])
    return replace(
        query,
        members=tuple(GroupMember(member.user_id, member.weight) for member in session.members),
        strategy=Strategy(session.strategy) if query.strategy is None else query.strategy,
        fairness_floor=session.fairness_floor if query.fairness_floor is None else query.fairness_floor,
    )


def _after(session: StoredSession, listeners: Sequence[Listener], catalog: Catalog) -> tuple[list[Listener], Deeds]:
    """The members after what the session played: what was not skipped is history of all of them.

    It does not come again, and neither does what more of them voted against than for.
    """
    played = catalog.rows_of([play.track_id for play in session.plays])
    skipped = np.asarray([play.skipped for play in session.plays], np.bool_)
    skipped, played = skipped[played >= 0], played[played >= 0]
    voted = catalog.rows_of([vote.track_id for vote in session.votes])
    members = {member.user_id: place for place, member in enumerate(session.members)}
    voters = np.asarray([members.get(vote.user_id, -1) for vote in session.votes], np.int64)
    votes_for = np.asarray([vote.value > 0 for vote in session.votes], np.bool_)
    count = (voted >= 0) & (voters >= 0)
    voted, voters, votes_for = voted[count], voters[count], votes_for[count]
    gone = np.union1d(played, _outvoted(voted, votes_for))
    listening = [
        replace(
            listener,
            history=np.concatenate([listener.history[~np.isin(listener.history, played)], _last(played[~skipped])]),
        )
        for listener in listeners
    ]
    return listening, Deeds(GroupEvents.of(played, skipped=skipped), voted, voters, votes_for, done=gone)


def _outvoted(voted: NDArray[np.int64], votes_for: NDArray[np.bool_]) -> NDArray[np.int64]:
    rows, places = np.unique(voted, return_inverse=True)
    return rows[np.bincount(places, weights=np.where(votes_for, 1.0, -1.0), minlength=len(rows)) < 0]


def _last(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each row once, where it stands last."""
    _, from_end = np.unique(rows[::-1], return_index=True)
    return rows[np.sort(len(rows) - 1 - from_end)]
