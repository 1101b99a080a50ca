"""What becomes of events, and what is known of a listener."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FeedbackStatus(StrEnum):
    """What became of an event. `UNKNOWN` stands for a status that only a newer client knows."""

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """What became of one event. With `REJECTED`, `reason` names the field and what to send instead."""

    event_id: str
    status: FeedbackStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a listener said: what they like, and what must never come."""

    liked_genres: tuple[str, ...] = ()
    liked_artists: tuple[str, ...] = ()
    liked_moods: tuple[str, ...] = ()
    blocked_tracks: tuple[str, ...] = ()
    blocked_artists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListenerFeatures:
    """What is known of a listener now. Shares sum to 1; the 24 hours and 7 weekdays, from Monday, are in UTC.

    `recent_track_ids` are the last tracks of the history, oldest first; `artists` are pairs of a name and a share, the
    largest first. What there is nothing to say of is empty.
    """

    recent_track_ids: tuple[str, ...]
    seen_track_ids: frozenset[str]
    history_length: int
    genre_shares: dict[str, float]
    artists: tuple[tuple[str, float], ...]
    hour_shares: tuple[float, ...]
    weekday_shares: tuple[float, ...]
    audio_means: dict[str, float]
    preference_vector: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DeletedUser:
    """What was removed of a listener; `remaining` is what a count of all tables found afterwards.

    `masked_history_tracks` are tracks of training histories that no longer count; they leave the model repository's
    files with the next training.
    """

    deleted_events: int
    deleted_receipts: int
    deleted_preferences: int
    dropped_lists: int
    masked_history_tracks: int
    remaining: int
    deleted_memberships: int = 0
    deleted_votes: int = 0
    deleted_session_entries: int = 0
