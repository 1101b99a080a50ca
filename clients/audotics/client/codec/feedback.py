"""Events and preferences between Python and messages."""

from __future__ import annotations

from collections.abc import Iterable

from audotics.client.arguments import EventType, FeedbackEvent, Mood
from audotics.client.codec.scalars import member, received, strings, timestamp, utc_offset_minutes
from audotics.client.results.feedback import FeedbackResult, FeedbackStatus, Preferences
from audotics.v1 import feedback_service_pb2, track_pb2


def encode_event(value: FeedbackEvent, *, event_id: str) -> feedback_service_pb2.FeedbackEvent:
    """Raises ValueError for an unknown type and for a time without a zone."""
    kind = member("type", value.type, EventType)
    return feedback_service_pb2.FeedbackEvent(
        event_id=event_id,
        user_id=value.user_id,
        track_id=value.track_id,
        type=f"EVENT_TYPE_{kind.name}",
        occurred_at=None if value.occurred_at is None else timestamp(value.occurred_at),
        recommendation_id=value.recommendation_id,
        rating=value.rating,
        utc_offset_minutes=utc_offset_minutes(value.occurred_at),
    )


def decode_feedback(
    message: feedback_service_pb2.RecordFeedbackResponse | feedback_service_pb2.StreamFeedbackResponse,
) -> tuple[FeedbackResult, ...]:
    name_of = feedback_service_pb2.FeedbackStatus.Name
    return tuple(
        FeedbackResult(
            event_id=result.event_id,
            status=received(result.status, name_of, "FEEDBACK_STATUS_", FeedbackStatus),
            reason=result.reason,
        )
        for result in message.results
    )


def encode_preferences(
    *,
    liked_genres: Iterable[str] | None,
    liked_artists: Iterable[str] | None,
    liked_moods: Iterable[Mood | str] | None,
    blocked_tracks: Iterable[str] | None,
    blocked_artists: Iterable[str] | None,
) -> tuple[feedback_service_pb2.Preferences, list[str]]:
    """The message, and the names of what is given. Raises ValueError for an unknown mood."""
    moods = None if liked_moods is None else [member("liked_moods", mood, Mood) for mood in liked_moods]
    given: dict[str, list[str]] = {
        name: strings(name, values)
        for name, values in (
            ("liked_genres", liked_genres),
            ("liked_artists", liked_artists),
            ("liked_moods", None if moods is None else [f"MOOD_{mood.name}" for mood in moods]),
            ("blocked_tracks", blocked_tracks),
            ("blocked_artists", blocked_artists),
        )
        if values is not None
    }
    return feedback_service_pb2.Preferences(**given), list(given)


def decode_preferences(message: feedback_service_pb2.Preferences) -> Preferences:
    name_of = track_pb2.Mood.Name
    return Preferences(
        liked_genres=tuple(message.liked_genres),
        liked_artists=tuple(message.liked_artists),
        liked_moods=tuple(name_of(mood).removeprefix("MOOD_").lower() for mood in message.liked_moods),
        blocked_tracks=tuple(message.blocked_tracks),
        blocked_artists=tuple(message.blocked_artists),
    )
