"""Sessions of groups on disk: what happens in one goes in, each change whole, and the session comes out.

Each change is appended to the log of sessions by the transaction that makes it. What changes nothing is not logged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlalchemy import Connection, delete, func, insert, select, update

from audotics.server.storage.database import Database
from audotics.server.storage.schema import GROUP_SESSIONS, SESSION_LOG, SESSION_MEMBERS, SESSION_PLAYS, SESSION_VOTES

SessionWork: TypeAlias = Callable[["SessionChange"], None]

_MOST_PLAYS: Final = 1000
"""Latest plays of a session that count."""


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A listener in a session."""

    user_id: str
    weight: float
    joined_at: float


@dataclass(frozen=True, slots=True)
class StoredVote:
    """A member's latest vote on a track; `value` is 1 for and -1 against."""

    user_id: str
    track_id: str
    value: int


@dataclass(frozen=True, slots=True)
class StoredPlay:
    """A track that a session played."""

    track_id: str
    started_at: float
    skipped: bool


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session at one moment; members by when they joined, plays oldest first. Times are in UTC seconds."""

    session_id: str
    strategy: str
    fairness_floor: float
    created_at: float
    now_playing: str = ""
    ended_at: float | None = None
    members: tuple[StoredMember, ...] = ()
    votes: tuple[StoredVote, ...] = ()
    plays: tuple[StoredPlay, ...] = ()


class SessionChange:
    """One change of a session, within a transaction that holds its row, so that changes come one after the other."""

    def __init__(self, connection: Connection, session: StoredSession) -> None:
        self._connection = connection
        self.session = session
        """As it was before the change."""

    def put_member(self, member: StoredMember) -> None:
        """Add a member, or give one another weight."""
        key = (SESSION_MEMBERS.c.session_id == self._id) & (SESSION_MEMBERS.c.user_id == member.user_id)
        changed = self._connection.execute(update(SESSION_MEMBERS).where(key).values(weight=member.weight)).rowcount
        if not changed:
            _insert_members(self._connection, self._id, [member])
            self._touch(member.joined_at)

    def remove_member(self, user_id: str, *, left_at: float) -> None:
        """Take a member out, with their votes."""
        if user_id not in {member.user_id for member in self.session.members}:
            return
        self._log("leave", left_at, user_id=user_id)
        for table in (SESSION_MEMBERS, SESSION_VOTES):
            self._connection.execute(delete(table).where(table.c.session_id == self._id, table.c.user_id == user_id))

    def put_vote(self, vote: StoredVote, *, voted_at: float) -> None:
        """Keep a vote in place of an earlier one; with value 0 keep none."""
        earlier = {(known.user_id, known.track_id): known.value for known in self.session.votes}
        if vote.value == earlier.get((vote.user_id, vote.track_id), 0):
            return
        kind = "vote" if vote.value else "withdraw"
        self._log(kind, voted_at, user_id=vote.user_id, track_id=vote.track_id, value=vote.value)
        table = SESSION_VOTES
        self._connection.execute(
            delete(table).where(
                table.c.session_id == self._id, table.c.user_id == vote.user_id, table.c.track_id == vote.track_id
            )
        )
        if vote.value:
            self._connection.execute(
                insert(table).values(
                    session_id=self._id,
                    user_id=vote.user_id,
                    track_id=vote.track_id,
                    value=vote.value,
                    voted_at=voted_at,
                )
            )

    def play(self, track_id: str, *, started_at: float) -> None:
        """Let a track play, whose votes are done with; "" lets nothing play."""
        self._set(now_playing=track_id)
        if track_id:
            self._log("play", started_at, track_id=track_id)
            table = SESSION_VOTES
            self._connection.execute(delete(table).where(table.c.session_id == self._id, table.c.track_id == track_id))
            values = {"session_id": self._id, "track_id": track_id, "started_at": started_at, "skipped": False}
            self._connection.execute(insert(SESSION_PLAYS).values(**values))

    def skip(self, *, skipped_at: float) -> None:
        """Mark the latest play as skipped, and let nothing play."""
        self._log("skip", skipped_at, track_id=self.session.now_playing)
        table = SESSION_PLAYS
        latest = select(func.max(table.c.sequence)).where(table.c.session_id == self._id).scalar_subquery()
        self._connection.execute(update(table).where(table.c.sequence == latest).values(skipped=True))
        self._set(now_playing="")

    def end(self, *, ended_at: float) -> None:
        self._log("end", ended_at)
        self._set(now_playing="", ended_at=ended_at)

    @property
    def _id(self) -> str:
        return self.session.session_id

    def _log(self, kind: str, at: float, *, user_id: str = "", track_id: str = "", value: int = 0) -> None:
        entry = _entry(self._id, kind, at, user_id=user_id, track_id=track_id, value=value)
        self._connection.execute(insert(SESSION_LOG).values(**entry))
        self._touch(at)

    def _touch(self, at: float) -> None:
        self._set(changed_at=at)

    def _set(self, **values: object) -> None:
        self._connection.execute(update(GROUP_SESSIONS).where(GROUP_SESSIONS.c.session_id == self._id).values(**values))


class SessionStore:
    """Reads sessions and changes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, session: StoredSession) -> bool:
        """Store a new session with its members; False when there is one of that id. Raises StorageError."""
        row = {
            name: getattr(session, name)
            for name in ("session_id", "strategy", "fairness_floor", "now_playing", "created_at")
        }
        row["changed_at"] = session.created_at
        with self._database.transaction() as connection:
            statement = self._database.insert(GROUP_SESSIONS).values(**row).on_conflict_do_nothing()
            if connection.scalar(statement.returning(GROUP_SESSIONS.c.session_id)) is None:
                return False
            _insert_members(connection, session.session_id, session.members)
        return True

    def read(self, session_id: str) -> StoredSession | None:
        """None when there is no such session. Raises StorageError."""
        with self._database.reading() as connection:
            return _read(connection, session_id)

    def change(self, session_id: str, work: SessionWork) -> StoredSession | None:
        """Do `work` on the session in one transaction, and return it as it is then; None when there is none.

        What `work` raises undoes it. Raises StorageError.
        """
        with self._database.transaction() as connection:
            session = _read(connection, session_id, lock=True)
            if session is None:
                return None
            work(SessionChange(connection, session))
            return _read(connection, session_id)


def _read(connection: Connection, session_id: str, *, lock: bool = False) -> StoredSession | None:
    table = GROUP_SESSIONS
    known = (column for column in table.c if column.name != "changed_at")
    statement = select(*known).where(table.c.session_id == session_id)
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().first()
    if row is None:
        return None
    members, votes, plays = SESSION_MEMBERS.c, SESSION_VOTES.c, SESSION_PLAYS.c
    joined = select(members.user_id, members.weight, members.joined_at).where(members.session_id == session_id)
    joined = joined.order_by(members.joined_at, members.user_id)
    voted = select(votes.user_id, votes.track_id, votes.value).where(votes.session_id == session_id)
    voted = voted.order_by(votes.voted_at, votes.user_id, votes.track_id)
    latest = select(plays.track_id, plays.started_at, plays.skipped).where(plays.session_id == session_id)
    latest = latest.order_by(plays.sequence.desc()).limit(_MOST_PLAYS)
    return StoredSession(
        **row,
        members=tuple(StoredMember(*member) for member in connection.execute(joined)),
        votes=tuple(StoredVote(*vote) for vote in connection.execute(voted)),
        plays=tuple(StoredPlay(*play) for play in connection.execute(latest))[::-1],
    )


def _insert_members(connection: Connection, session_id: str, members: Sequence[StoredMember]) -> None:
    if members:
        connection.execute(
            insert(SESSION_MEMBERS),
            [
                {
                    "session_id": session_id,
                    "user_id": member.user_id,
                    "weight": member.weight,
                    "joined_at": member.joined_at,
                }
                for member in members
            ],
        )
        connection.execute(
            insert(SESSION_LOG),
            [_entry(session_id, "join", member.joined_at, user_id=member.user_id) for member in members],
        )


def _entry(
    session_id: str, kind: str, at: float, *, user_id: str = "", track_id: str = "", value: int = 0
) -> dict[str, object]:
    return {
        "session_id": session_id,
        "type": kind,
        "user_id": user_id,
        "track_id": track_id,
        "value": value,
        "at": at,
    }
