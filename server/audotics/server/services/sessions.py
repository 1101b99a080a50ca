"""Sessions: what members do goes in, is checked and stored, and those who watch the session's list are told."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

from audotics.server.errors import FieldViolation, InvalidRequestError, NotFoundError
from audotics.server.pipeline.group_query import MAX_MEMBERS, GroupMember, Strategy
from audotics.server.repository.registry import Registry
from audotics.server.services.changes import Changes
from audotics.server.services.event_log import EventLog
from audotics.server.services.tracks import served_rows
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.sessions import (
    SessionChange,
    SessionStore,
    SessionWork,
    StoredMember,
    StoredSession,
    StoredVote,
)


def session_name(session_id: str) -> str:
    """The resource name, which is also the topic of its changes."""
    return f"sessions/{session_id}"


MAX_VOTES: Final = 100
"""Of one member on tracks that have not played yet: each is scored for everybody in the session."""


class SessionService:
    """Changes sessions, one change after the other. Times are the server's own."""

    def __init__(
        self,
        *,
        registry: Registry,
        sessions: SessionStore,
        log: EventLog,
        changes: Changes,
        executor: Executor,
        uninterrupted: Uninterrupted,
        now: Callable[[], float] = time.time,
        tell: Callable[[Iterable[str]], object] = lambda names: None,
    ) -> None:
        """`executor` is for reading; `tell` learns the names of sessions that this server has changed."""
        self._registry = registry
        self._sessions = sessions
        self._log = log
        self._changes = changes
        self._executor = executor
        self._uninterrupted = uninterrupted
        self._now = now
        self._tell = tell

    async def create(
        self, session_id: str, members: Sequence[GroupMember], *, strategy: Strategy, fairness_floor: float
    ) -> StoredSession:
        """An empty id lets one be chosen. Raises InvalidRequestError for one that is taken, StorageError."""
        now = self._now()
        session = StoredSession(
            session_id=session_id or uuid.uuid4().hex[:12],
            strategy=strategy.value,
            fairness_floor=fairness_floor,
            created_at=now,
            members=tuple(
                sorted(
                    (StoredMember(member.user_id, member.weight, now) for member in members),
                    key=lambda member: member.user_id,
                )
            ),
        )
        created = await self._uninterrupted.run(self._log.in_turn(partial(self._sessions.create, session)))
        if not created:
            raise _wrong("session_id", f"{session_id!r} is taken; choose another, or leave it empty")
        return session

    async def get(self, session_id: str) -> StoredSession:
        """Raises NotFoundError, StorageError."""
        loop = asyncio.get_running_loop()
        session = await loop.run_in_executor(self._executor, self._sessions.read, session_id)
        return _found(session, session_id)

    async def join(self, session_id: str, member: GroupMember) -> StoredSession:
        """Raises NotFoundError, InvalidRequestError when it has ended or is full, StorageError."""

        def work(change: SessionChange) -> None:
            members = {known.user_id for known in change.session.members}
            if member.user_id not in members and len(members) >= MAX_MEMBERS:
                raise _wrong("name", f"names a session of {MAX_MEMBERS} members already; somebody has to leave first")
            change.put_member(StoredMember(member.user_id, member.weight, self._now()))

        return await self._change(session_id, work)

    async def leave(self, session_id: str, user_id: str) -> StoredSession:
        """Raises NotFoundError, InvalidRequestError when it has ended, StorageError."""
        return await self._change(session_id, lambda change: change.remove_member(user_id, left_at=self._now()))

    async def vote(self, session_id: str, vote: StoredVote) -> StoredSession:
        """A value of 0 withdraws.

        Raises NotFoundError, InvalidRequestError when they are no member or the track has played, StorageError.
        """
        served_rows(self._registry.snapshot.catalog, [vote.track_id])

        def work(change: SessionChange) -> None:
            if vote.user_id not in {member.user_id for member in change.session.members}:
                raise _wrong("user_id", f"{vote.user_id!r} is not in {session_name(session_id)}; join first")
            if vote.value and vote.track_id in {play.track_id for play in change.session.plays}:
                state = "plays" if vote.track_id == change.session.now_playing else "has played"
                raise _wrong(
                    "track_id",
                    f"{vote.track_id!r} {state} in {session_name(session_id)} and does not come again; vote on another",
                )
            others = [
                own for own in change.session.votes if own.user_id == vote.user_id and own.track_id != vote.track_id
            ]
            if vote.value and len(others) >= MAX_VOTES:
                raise _wrong("track_id", f"is one more than the {MAX_VOTES} that a member may vote on; withdraw a vote")
            change.put_vote(vote, voted_at=self._now())

        return await self._change(session_id, work)

    async def play(self, session_id: str, track_id: str) -> StoredSession:
        """Raises NotFoundError, InvalidRequestError when the session has ended, StorageError."""
        if track_id:
            served_rows(self._registry.snapshot.catalog, [track_id])

        def work(change: SessionChange) -> None:
            if track_id != change.session.now_playing:  # who says it again, after a lost answer, plays it once
                change.play(track_id, started_at=self._now())

        return await self._change(session_id, work)

    async def skip(self, session_id: str, track_id: str) -> StoredSession:
        """Raises NotFoundError, InvalidRequestError when something else plays, StorageError."""

        def work(change: SessionChange) -> None:
            playing, plays = change.session.now_playing, change.session.plays
            if not playing and plays and plays[-1].skipped and plays[-1].track_id == track_id:
                return  # said again
            if track_id != playing:
                what = f"{playing!r} does" if playing else "nothing does"
                raise _wrong("track_id", f"{track_id!r} does not play in {session_name(session_id)}, {what}")
            change.skip(skipped_at=self._now())

        return await self._change(session_id, work)

    async def end(self, session_id: str) -> StoredSession:
        """Ending twice changes nothing. Raises NotFoundError, StorageError."""

        def work(change: SessionChange) -> None:
            if change.session.ended_at is None:
                change.end(ended_at=self._now())

        return await self._change(session_id, work, even_ended=True)

    async def _change(self, session_id: str, work: SessionWork, *, even_ended: bool = False) -> StoredSession:
        def checked(change: SessionChange) -> None:
            if change.session.ended_at is not None and not even_ended:
                raise _wrong("name", f"{session_name(session_id)} has ended; create another session")
            work(change)

        changing = self._log.in_turn(partial(self._sessions.change, session_id, checked))
        session = _found(await self._uninterrupted.run(changing), session_id)
        changed = [session_name(session_id)]
        self._changes.publish(changed)
        self._tell(changed)
        return session


def _found(session: StoredSession | None, session_id: str) -> StoredSession:
    if session is None:
        raise NotFoundError("session", [session_name(session_id)], hint="create it with CreateSession")
    return session


def _wrong(field: str, description: str) -> InvalidRequestError:
    return InvalidRequestError([FieldViolation(field, description)])
