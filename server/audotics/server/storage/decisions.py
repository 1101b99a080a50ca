"""Drawn tilts on disk: what was drawn for a list goes in, what it earned is added later, and both come out again.

A decision is settled once the time in which feedback on its list counts is over; its reward stays as it was then.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, func, null, select, text, update

from audotics.server.storage.database import Database
from audotics.server.storage.schema import DECISIONS, EVENTS, NAMES_A_LIST, SESSION_LOG

Said = tuple[str, str, str, float | None]
"""Who says what: listener, track, type, rating. Nobody, "", stands for a session as a whole."""

_SESSION: Final = "sessions/"
_VOTES: Final[Mapping[int, str]] = MappingProxyType({1: "like", -1: "dislike"})


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One row. `user_id` is empty for groups and anonymous subjects, `reward` None until settled.

    `created_at` is in UTC seconds, `group_key` a group's own name. `hybrid` is the version of the hybrid whose weights
    were tilted, 0 for none. `overlap` says which tilts would have listed the tracks, until the decision is settled;
    `credits` what each would have earned: nothing where nobody said anything, None where the overlap is not known.
    """

    recommendation_id: str
    user_id: str
    created_at: float
    arm: str
    segment: str
    tilt: str
    propensity: float
    policy: int
    reward: float | None = None
    hybrid: int = 0
    overlap: dict[str, Any] | None = None
    credits: list[float] | None = None
    group_key: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a list earned, and what every tilt would have; see `StoredDecision`."""

    reward: float
    credits: list[float] | None = None


class DecisionStore:
    """Reads and settles decisions; `ReceiptStore` writes them, together with the receipts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unsettled(self, *, before: float, limit: int) -> list[StoredDecision]:
        """The oldest decisions without a reward that were made before a time. Raises StorageError."""
        with self._database.reading() as connection:
            statement = (
                select(DECISIONS)
                .where(DECISIONS.c.reward.is_(None), DECISIONS.c.created_at < before)
                .order_by(DECISIONS.c.created_at)
                .limit(limit)
            )
            return [StoredDecision(**row) for row in connection.execute(statement).mappings()]

    def said_of(self, decisions: Sequence[StoredDecision], *, window_s: float) -> dict[str, list[Said]]:
        """What listeners said of the lists of `decisions` within `window_s` of each, by the id of the list.

        An event of another listener than the list was made for does not count; for a group's list that of anybody does.
        What a session played, skipped and voted for counts for the list before it. Raises StorageError.
        """
        made = {decision.recommendation_id: decision for decision in decisions}
        statement = select(
            EVENTS.c.recommendation_id,
            EVENTS.c.user_id,
            EVENTS.c.received_at,
            EVENTS.c.track_id,
            EVENTS.c.type,
            EVENTS.c.rating,
        ).where(EVENTS.c.recommendation_id.in_(made), text(NAMES_A_LIST))
        said: dict[str, list[Said]] = defaultdict(list)
        with self._database.reading() as connection:
            for list_id, user_id, received_at, track_id, event, rating in connection.execute(statement):
                decision = made[list_id]
                in_time = decision.created_at <= received_at < decision.created_at + window_s
                if in_time and decision.user_id in ("", user_id):
                    said[list_id].append((user_id, track_id, event, rating))
            for list_id, user_id, track_id, event in _done(connection, decisions, window_s=window_s):
                said[list_id].append((user_id, track_id, event, None))
        return said

    def settle(self, settlements: Mapping[str, Settlement]) -> None:
        """Write what lists earned, by their ids, in one transaction; what is settled stays. Raises StorageError."""
        if not settlements:
            return
        statement = (
            update(DECISIONS)
            .where(DECISIONS.c.recommendation_id == bindparam("list_id"), DECISIONS.c.reward.is_(None))
            .values(reward=bindparam("earned"), credits=bindparam("credited"), overlap=null())
        )
        rows = [
            {"list_id": name, "earned": settled.reward, "credited": settled.credits}
            for name, settled in settlements.items()
        ]
        with self._database.transaction() as connection:
            connection.execute(statement, rows)

    def settled_count(self, arm: str, *, hybrid: int, since: float) -> int:
        """How many decisions made since a time are settled. Raises StorageError."""
        statement = select(func.count()).where(*_settled(arm, hybrid, since))
        with self._database.reading() as connection:
            return connection.scalar(statement) or 0

    def arms(self, *, since: float) -> list[str]:
        """The arms for which anything was drawn since a time. Raises StorageError."""
        statement = select(DECISIONS.c.arm).where(DECISIONS.c.created_at >= since).distinct().order_by(DECISIONS.c.arm)
        with self._database.reading() as connection:
            return list(connection.scalars(statement))

    def hybrid(self, arm: str) -> int | None:
        """The version of the hybrid that the latest decision was made for, by any server. Raises StorageError."""
        latest = select(DECISIONS.c.hybrid).where(DECISIONS.c.arm == arm).order_by(DECISIONS.c.created_at.desc())
        with self._database.reading() as connection:
            version: int | None = connection.scalar(latest.limit(1))
        return version

    def latest(
        self,
        arm: str,
        *,
        hybrid: int,
        since: float,
        limit: int,
        before: float = math.inf,
        policy: int | None = None,
    ) -> list[StoredDecision]:
        """The latest settled decisions made in a span of time, by one policy or any, oldest first.

        Raises StorageError.
        """
        chosen = _settled(arm, hybrid, since)
        if before < math.inf:
            chosen.append(DECISIONS.c.created_at < before)
        if policy is not None:
            chosen.append(DECISIONS.c.policy == policy)
        statement = select(DECISIONS).where(*chosen).order_by(DECISIONS.c.created_at.desc()).limit(limit)
        with self._database.reading() as connection:
            return [StoredDecision(**row) for row in connection.execute(statement).mappings()][::-1]


def rows_of(decisions: Sequence[StoredDecision]) -> list[dict[str, Any]]:
    """Decisions as rows of their table."""
    return [asdict(decision) for decision in decisions]


def _settled(arm: str, hybrid: int, since: float) -> list[ColumnElement[bool]]:
    decisions = DECISIONS.c
    return [
        decisions.arm == arm,
        decisions.hybrid == hybrid,
        decisions.created_at >= since,
        decisions.reward.is_not(None),
    ]


def _done(
    connection: Connection, decisions: Sequence[StoredDecision], *, window_s: float
) -> Iterator[tuple[str, str, str, str]]:
    """List, listener or nobody, track and type of event, of what sessions did after each of their lists.

    Of a member's votes on a track after one list the last one counts.
    """
    wanted = {one.recommendation_id: one for one in decisions if one.group_key.startswith(_SESSION)}
    if not wanted:
        return
    begun = min(one.created_at for one in wanted.values())
    ended = max(one.created_at for one in wanted.values()) + window_s
    keys = {one.group_key for one in wanted.values()}
    lists: dict[str, list[tuple[float, str]]] = defaultdict(list)
    made = (
        select(DECISIONS.c.group_key, DECISIONS.c.created_at, DECISIONS.c.recommendation_id)
        .where(DECISIONS.c.group_key.in_(keys), DECISIONS.c.created_at.between(begun, ended))
        .order_by(DECISIONS.c.created_at, DECISIONS.c.recommendation_id)
    )
    for key, created_at, list_id in connection.execute(made):
        lists[key].append((created_at, list_id))
    entry, votes = SESSION_LOG.c, {}
    log = (
        select(entry.session_id, entry.type, entry.user_id, entry.track_id, entry.value, entry.at)
        .where(
            entry.session_id.in_([key.removeprefix(_SESSION) for key in keys]),
            entry.type.in_(("vote", "withdraw", "play", "skip")),
            entry.at.between(begun, ended),
        )
        .order_by(entry.sequence)
    )
    for session_id, kind, user_id, track_id, value, at in connection.execute(log):
        before = lists[_SESSION + session_id]
        place = bisect_right(before, at, key=lambda pair: pair[0]) - 1
        decision = wanted.get(before[place][1]) if place >= 0 else None
        if decision is None or at >= decision.created_at + window_s:
            continue
        if kind in ("vote", "withdraw"):
            votes[decision.recommendation_id, user_id, track_id] = value
        else:
            yield decision.recommendation_id, "", track_id, kind
    for (list_id, user_id, track_id), value in votes.items():
        if value in _VOTES:
            yield list_id, user_id, track_id, _VOTES[value]
