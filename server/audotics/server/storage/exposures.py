"""The exposure log: which arm made which list goes in, and what followed it comes out, from events and sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Subquery, and_, case, distinct, func, or_, select

from audotics.features.history import LIKED_RATING, POSITIVE_EVENTS
from audotics.features.outcomes import GROUP_EVENTS, MOST_RATING, OPINIONS, STARTING_EVENTS
from audotics.server.storage.database import Database
from audotics.server.storage.schema import EVENTS, EXPOSURES, SESSION_LOG

_SESSION: Final = "sessions/"
_KNOWN: Final = ("user_id", "group_key", "arm", "propensity", "created_at", "history_length", "mood", "diversity")


@dataclass(frozen=True, slots=True)
class StoredExposure:
    """One row: a list, the arm that made it, and what was known when it was made. `created_at` is in UTC seconds.

    A list of a group has no `user_id`, and the group's own name as `group_key`.
    """

    recommendation_id: str
    experiment: str
    arm: str
    propensity: float
    user_id: str
    created_at: float
    history_length: int
    mood: str
    diversity: float
    group_key: str = ""


@dataclass(frozen=True, slots=True)
class DiversitySums:
    """Over the lists of one arm: how many, and the sums of their diversities and of the squares."""

    count: int
    total: float
    squares: float


class ExposureStore:
    """Reads what arms have shown; `ReceiptStore` writes it, together with the receipts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def outcomes(self, experiment: str, *, window_s: float, since: float = 0.0) -> Sequence[Any]:
        """One row a list, the earliest first, whose arm was drawn. Raises StorageError.

        Columns: user_id, group_key, arm, propensity, created_at, history_length, mood, diversity, entered_at (the time
        of the listener's or the group's first list), engaged (0 or 1), started, completed, skipped (numbers of tracks),
        added (0 or 1), group_events, opinion and opinions (their sum and number). Events count that arrived until
        `window_s` after the first list, and for a group those of anybody. `group_events` is what the listener did in
        sessions, or what happened in the group's own, after this list and before the next. `since` leaves out earlier
        lists.
        """
        unit = (EXPOSURES.c.user_id, EXPOSURES.c.group_key)
        shown = (
            select(
                EXPOSURES,
                func.min(EXPOSURES.c.created_at).over(partition_by=unit).label("entered_at"),
                func.lead(EXPOSURES.c.created_at)
                .over(partition_by=unit, order_by=(EXPOSURES.c.created_at, EXPOSURES.c.recommendation_id))
                .label("next_at"),
            )
            .where(EXPOSURES.c.experiment == experiment, EXPOSURES.c.created_at >= since)
            # An arm that was chosen has the propensity 1; held-out listeners were drawn, however many they are.
            .where(or_(EXPOSURES.c.propensity < 1, EXPOSURES.c.experiment == ""))
            .subquery()
        )
        event = EVENTS.c
        kind, track = event.type, event.track_id
        rated = and_(kind == "rating", event.rating.is_not(None))
        engaging = or_(kind.in_(sorted(POSITIVE_EVENTS)), and_(rated, event.rating >= LIKED_RATING))
        told = or_(kind.in_(sorted(OPINIONS)), rated)
        opinion = case(
            *((kind == name, value) for name, value in OPINIONS.items()), (rated, event.rating / MOST_RATING), else_=0.0
        )
        own = [shown.c[name] for name in (*_KNOWN, "entered_at")]
        statement = (
            select(
                *own,
                func.max(case((engaging, 1), else_=0)).label("engaged"),
                func.count(distinct(case((kind.in_(sorted(STARTING_EVENTS)), track)))).label("started"),
                func.count(distinct(case((kind == "complete", track)))).label("completed"),
                func.count(distinct(case((kind == "skip", track)))).label("skipped"),
                func.max(case((kind == "add_to_playlist", 1), else_=0)).label("added"),
                _group_events(shown, window_s=window_s).label("group_events"),
                func.sum(opinion).label("opinion"),
                func.sum(case((told, 1), else_=0)).label("opinions"),
            )
            .select_from(shown)
            .outerjoin(
                EVENTS,
                and_(
                    event.recommendation_id == shown.c.recommendation_id,
                    event.recommendation_id != "",  # so that the index of events that name a list is used
                    or_(event.user_id == shown.c.user_id, shown.c.group_key != ""),
                    event.received_at <= shown.c.entered_at + window_s,
                ),
            )
            .group_by(shown.c.recommendation_id, shown.c.next_at, *own)
            .order_by(shown.c.created_at, shown.c.recommendation_id)
        )
        with self._database.reading() as connection:
            return connection.execute(statement).all()

    def diversity(self, experiment: str) -> dict[str, dict[bool, DiversitySums]]:
        """Of the lists of each arm, those of groups (True) apart from those of listeners. Raises StorageError."""
        value, of_group = EXPOSURES.c.diversity, EXPOSURES.c.group_key != ""
        statement = (
            select(EXPOSURES.c.arm, of_group, func.count(), func.sum(value), func.sum(value * value))
            .where(EXPOSURES.c.experiment == experiment)
            .group_by(EXPOSURES.c.arm, of_group)
        )
        sums: dict[str, dict[bool, DiversitySums]] = {}
        with self._database.reading() as connection:
            for arm, group, *found in connection.execute(statement):
                sums.setdefault(arm, {})[bool(group)] = DiversitySums(*found)
        return sums


def _group_events(shown: Subquery, *, window_s: float) -> ColumnElement[int]:
    """Entries of the log of sessions between a row of `shown` and the next one of the same listener or group."""
    entry = SESSION_LOG.c
    count = (
        select(func.count())
        .select_from(SESSION_LOG)
        .where(
            entry.type.in_(sorted(GROUP_EVENTS)),
            entry.at >= shown.c.created_at,
            or_(shown.c.next_at.is_(None), entry.at < shown.c.next_at),
            entry.at <= shown.c.entered_at + window_s,
        )
    )
    own = count.where(entry.user_id == shown.c.user_id)
    of_session = count.where(entry.session_id == func.substr(shown.c.group_key, len(_SESSION) + 1))
    return case(
        (shown.c.group_key == "", own.scalar_subquery()),
        (shown.c.group_key.startswith(_SESSION), of_session.scalar_subquery()),
        else_=0,
    )
