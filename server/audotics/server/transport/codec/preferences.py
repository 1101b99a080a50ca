"""Messages about a listener: preferences and deletions go in checked, and what is stored or was removed goes back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Final

from audotics.features.genres import GENRES
from audotics.features.moods import MOODS
from audotics.server.services.privacy import Deletion
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import Preferences
from audotics.v1 import feedback_service_pb2 as pb
from audotics.v1 import track_pb2

FIELDS: Final = tuple(field.name for field in fields(Preferences))
MAX_ENTRIES: Final = 1000

_MOODS: Final = {track_pb2.Mood.Value(f"MOOD_{name.upper()}"): name for name in MOODS}


def decode_user_id(request: pb.GetPreferencesRequest | pb.DeleteUserRequest) -> str:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("user_id", request.user_id)
    violations.raise_if_any()
    user_id: str = request.user_id
    return user_id


def decode_preferences(request: pb.UpdatePreferencesRequest) -> tuple[str, Preferences, tuple[str, ...]]:
    """The listener, what they said, and the fields to replace. Raises InvalidRequestError with all that is wrong."""
    violations = Violations()
    violations.check_id("user_id", request.user_id)
    message = request.preferences
    for name in ("liked_artists", "blocked_artists"):
        violations.check_names(f"preferences.{name}", getattr(message, name), most=MAX_ENTRIES)
    violations.check_ids("preferences.blocked_tracks", message.blocked_tracks, most=MAX_ENTRIES)
    names = tuple(dict.fromkeys(request.update_mask.paths)) or FIELDS
    for place, name in enumerate(names):
        if name not in FIELDS:
            violations.add(
                f"update_mask.paths[{place}]", f"{name[:40]!r} is no preference; send some of {', '.join(FIELDS)}"
            )
    preferences = Preferences(
        liked_genres=_genres(message, violations),
        liked_artists=_distinct(message.liked_artists),
        liked_moods=_moods(message, violations),
        blocked_tracks=_distinct(message.blocked_tracks),
        blocked_artists=_distinct(message.blocked_artists),
    )
    violations.raise_if_any()
    return request.user_id, preferences, names


def encode_preferences(preferences: Preferences) -> pb.Preferences:
    return pb.Preferences(
        liked_genres=preferences.liked_genres,
        liked_artists=preferences.liked_artists,
        liked_moods=[f"MOOD_{mood.upper()}" for mood in preferences.liked_moods],
        blocked_tracks=preferences.blocked_tracks,
        blocked_artists=preferences.blocked_artists,
    )


def encode_deletion(deletion: Deletion) -> pb.DeleteUserResponse:
    return pb.DeleteUserResponse(
        deleted_events=deletion.erased.events,
        deleted_receipts=deletion.erased.receipts,
        deleted_preferences=deletion.erased.preferences,
        dropped_lists=deletion.dropped_lists,
        masked_history_tracks=deletion.masked_history_tracks,
        remaining=deletion.erased.remaining,
        deleted_memberships=deletion.erased.memberships,
        deleted_votes=deletion.erased.votes,
        deleted_session_entries=deletion.erased.session_entries,
    )


def _genres(message: pb.Preferences, violations: Violations) -> tuple[str, ...]:
    genres = _distinct([genre.strip().lower() for genre in message.liked_genres])
    for place, genre in enumerate(genres):
        if genre not in GENRES:
            violations.add(
                f"preferences.liked_genres[{place}]",
                f"{genre[:40]!r} is not a genre; known genres: {', '.join(GENRES)}",
            )
    return genres


def _moods(message: pb.Preferences, violations: Violations) -> tuple[str, ...]:
    moods = []
    for place, number in enumerate(message.liked_moods):
        if number in _MOODS:
            moods.append(_MOODS[number])
        else:
            violations.add(
                f"preferences.liked_moods[{place}]",
                f"is {number}, which names no mood; known moods: {', '.join(MOODS)}",
            )
    return _distinct(moods)


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
