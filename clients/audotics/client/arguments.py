"""Values that callers hand to the clients: tracks, filters, objectives, feedback. They are plain, without protobuf."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Mood(StrEnum):
    """The moods a list can be asked for."""

    ENERGETIC = "energetic"
    CHILL = "chill"
    HAPPY = "happy"
    MELANCHOLIC = "melancholic"
    PARTY = "party"
    FOCUSED = "focused"
    ROMANTIC = "romantic"
    WORKOUT = "workout"


class Activity(StrEnum):
    """What a listener does while a list plays."""

    COMMUTING = "commuting"
    DINING = "dining"
    EXERCISING = "exercising"
    PARTYING = "partying"
    RELAXING = "relaxing"
    SLEEPING = "sleeping"
    STUDYING = "studying"
    WORKING = "working"


class EventType(StrEnum):
    """What a listener did."""

    PLAY = "play"
    COMPLETE = "complete"
    SKIP = "skip"
    LIKE = "like"
    DISLIKE = "dislike"
    SAVE = "save"
    ADD_TO_PLAYLIST = "add_to_playlist"
    FOLLOW_ARTIST = "follow_artist"
    SHARE = "share"
    RATING = "rating"
    IMPRESSION = "impression"


@dataclass(frozen=True, slots=True)
class FeatureRange:
    """A closed range of one field of `AudioFeatures`, of `duration_ms` or of `popularity`; None is open.

    A track whose feature is unknown does not pass.
    """

    feature: str
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class TrackFilter:
    """Hard conditions: a track that fails one never comes back. Empty tuples and None ask for nothing."""

    genres: tuple[str, ...] = ()
    excluded_genres: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    excluded_artists: tuple[str, ...] = ()
    min_release_year: int | None = None
    max_release_year: int | None = None
    explicit: bool | None = None
    feature_ranges: tuple[FeatureRange, ...] = ()


@dataclass(frozen=True, slots=True)
class Objectives:
    """What the order of a list serves, as non-negative weights."""

    relevance: float = 1.0
    novelty: float = 0.0
    popularity: float = 0.0
    freshness: float = 0.0
    artist_fairness: float = 0.0


@dataclass(frozen=True, slots=True)
class AudioFeatures:
    """What a track sounds like, on the scales of the Spotify audio-features API. None is unknown, which is not zero.

    `key` is a pitch class 0..11, `loudness` in dB, `mode` 0 for minor and 1 for major, `tempo` in beats per minute, the
    rest 0..1.
    """

    danceability: float | None = None
    energy: float | None = None
    key: float | None = None
    loudness: float | None = None
    mode: float | None = None
    speechiness: float | None = None
    acousticness: float | None = None
    instrumentalness: float | None = None
    liveness: float | None = None
    valence: float | None = None
    tempo: float | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """One track of the catalogue. Unknown text is "", anything else unknown is None; `popularity` is 0..1."""

    track_id: str
    title: str = ""
    artist: str = ""
    album: str = ""
    tags: tuple[str, ...] = ()
    release_year: int | None = None
    explicit: bool | None = None
    duration_ms: int | None = None
    popularity: float | None = None
    audio_features: AudioFeatures = field(default_factory=AudioFeatures)


@dataclass(frozen=True, slots=True)
class FeedbackEvent:
    """Something a listener did with a track.

    `event_id` makes the event idempotent; the client makes one up where it is empty. `occurred_at` carries a time zone,
    the listener's own, or `datetime.UTC` where that is not known; None means now. `recommendation_id` names the list
    that led to the event, if one did. `rating` is 0..5 and goes with `EventType.RATING`.
    """

    user_id: str
    track_id: str
    type: EventType
    event_id: str = ""
    occurred_at: datetime | None = None
    recommendation_id: str = ""
    rating: float | None = None
