"""Calls of FeedbackService: events, preferences, and the right to be forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask

from audotics.client.arguments import FeedbackEvent, Mood
from audotics.client.calls.call import Call, call_of, check_timeout
from audotics.client.codec.feedback import decode_feedback, decode_preferences, encode_event, encode_preferences
from audotics.client.results.feedback import DeletedUser, FeedbackResult, ListenerFeatures, Preferences
from audotics.v1 import feedback_service_pb2 as feedback


def record_feedback(
    events: Iterable[FeedbackEvent], *, timeout_s: float | None = None
) -> Call[tuple[FeedbackResult, ...]]:
    """Record up to 1,000 events; each gets its own result, in their order.

    An event without an id gets one here, once, so that a retry cannot record it twice. An event that was recorded by an
    attempt whose answer got lost comes back as a duplicate.
    """
    messages = [encode_event(event, event_id=event.event_id or uuid.uuid4().hex) for event in events]
    request = feedback.RecordFeedbackRequest(events=messages)
    return call_of(
        "FeedbackService/RecordFeedback", request, feedback.RecordFeedbackResponse, decode_feedback, timeout_s
    )


@dataclass(frozen=True, slots=True)
class FeedbackStream:
    """One open-ended call: its path, what goes over the wire for some events, and how to read an answer."""

    path: str
    timeout_s: float | None

    def __post_init__(self) -> None:
        if self.timeout_s is not None:
            check_timeout(self.timeout_s)

    def request(self, events: Sequence[FeedbackEvent]) -> bytes:
        """One message. Raises ValueError for an unknown type and for a time without a zone."""
        messages = [encode_event(event, event_id=event.event_id or uuid.uuid4().hex) for event in events]
        data: bytes = feedback.StreamFeedbackRequest(events=messages).SerializeToString()
        return data

    def read(self, answer: bytes) -> tuple[FeedbackResult, ...]:
        """Raises InternalError when `answer` is not what the method returns."""
        call = Call(self.path, b"", lambda data: decode_feedback(feedback.StreamFeedbackResponse.FromString(data)))
        return call.read(answer)


def stream_feedback(*, timeout_s: float | None = None) -> FeedbackStream:
    """The call behind both clients' `stream_feedback`; None sets no limit, since a stream ends with its events."""
    return FeedbackStream("/audotics.v1.FeedbackService/StreamFeedback", timeout_s)


def update_preferences(
    user_id: str,
    *,
    liked_genres: Iterable[str] | None = None,
    liked_artists: Iterable[str] | None = None,
    liked_moods: Iterable[Mood | str] | None = None,
    blocked_tracks: Iterable[str] | None = None,
    blocked_artists: Iterable[str] | None = None,
    timeout_s: float | None = None,
) -> Call[Preferences]:
    """Replace what is given of what a listener likes and never wants to hear; None leaves a field as it is.

    At least one field has to be given; an empty one is emptied. The answer holds all of them as they are stored now.
    """

    def decode(answer: feedback.UpdatePreferencesResponse) -> Preferences:
        return decode_preferences(answer.preferences)

    preferences, given = encode_preferences(
        liked_genres=liked_genres,
        liked_artists=liked_artists,
        liked_moods=liked_moods,
        blocked_tracks=blocked_tracks,
        blocked_artists=blocked_artists,
    )
    if not given:
        raise ValueError("give at least one preference to replace, such as liked_genres")
    request = feedback.UpdatePreferencesRequest(
        user_id=user_id, preferences=preferences, update_mask=FieldMask(paths=given)
    )
    return call_of("FeedbackService/UpdatePreferences", request, feedback.UpdatePreferencesResponse, decode, timeout_s)


def get_preferences(user_id: str, *, timeout_s: float | None = None) -> Call[Preferences]:
    """What a listener said; empty for a stranger."""

    def decode(answer: feedback.GetPreferencesResponse) -> Preferences:
        return decode_preferences(answer.preferences)

    request = feedback.GetPreferencesRequest(user_id=user_id)
    return call_of("FeedbackService/GetPreferences", request, feedback.GetPreferencesResponse, decode, timeout_s)


def delete_user(user_id: str, *, timeout_s: float | None = None) -> Call[DeletedUser]:
    """Remove a listener from the server, and learn what was removed. Deleting a stranger removes nothing."""

    def decode(answer: feedback.DeleteUserResponse) -> DeletedUser:
        return DeletedUser(
            deleted_events=answer.deleted_events,
            deleted_receipts=answer.deleted_receipts,
            deleted_preferences=answer.deleted_preferences,
            dropped_lists=answer.dropped_lists,
            masked_history_tracks=answer.masked_history_tracks,
            remaining=answer.remaining,
            deleted_memberships=answer.deleted_memberships,
            deleted_votes=answer.deleted_votes,
            deleted_session_entries=answer.deleted_session_entries,
        )

    request = feedback.DeleteUserRequest(user_id=user_id)
    return call_of("FeedbackService/DeleteUser", request, feedback.DeleteUserResponse, decode, timeout_s)


def get_listener_features(user_id: str, *, timeout_s: float | None = None) -> Call[ListenerFeatures]:
    """What is known of a listener at this moment, as features; empty for a stranger."""

    def decode(answer: feedback.GetListenerFeaturesResponse) -> ListenerFeatures:
        return ListenerFeatures(
            recent_track_ids=tuple(answer.recent_track_ids),
            seen_track_ids=frozenset(answer.seen_track_ids),
            history_length=answer.history_length,
            genre_shares=dict(answer.genre_shares),
            artists=tuple((each.artist, each.share) for each in answer.artists),
            hour_shares=tuple(answer.hour_shares),
            weekday_shares=tuple(answer.weekday_shares),
            audio_means=dict(answer.audio_means),
            preference_vector=tuple(answer.preference_vector),
        )

    request = feedback.GetListenerFeaturesRequest(user_id=user_id)
    return call_of(
        "FeedbackService/GetListenerFeatures", request, feedback.GetListenerFeaturesResponse, decode, timeout_s
    )
