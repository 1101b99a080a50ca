from audotics.v1 import track_pb2 as _track_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_TYPE_UNSPECIFIED: _ClassVar[EventType]
    EVENT_TYPE_PLAY: _ClassVar[EventType]
    EVENT_TYPE_COMPLETE: _ClassVar[EventType]
    EVENT_TYPE_SKIP: _ClassVar[EventType]
    EVENT_TYPE_LIKE: _ClassVar[EventType]
    EVENT_TYPE_DISLIKE: _ClassVar[EventType]
    EVENT_TYPE_SAVE: _ClassVar[EventType]
    EVENT_TYPE_ADD_TO_PLAYLIST: _ClassVar[EventType]
    EVENT_TYPE_FOLLOW_ARTIST: _ClassVar[EventType]
    EVENT_TYPE_SHARE: _ClassVar[EventType]
    EVENT_TYPE_RATING: _ClassVar[EventType]
    EVENT_TYPE_IMPRESSION: _ClassVar[EventType]

class FeedbackStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEEDBACK_STATUS_UNSPECIFIED: _ClassVar[FeedbackStatus]
    FEEDBACK_STATUS_ACCEPTED: _ClassVar[FeedbackStatus]
    FEEDBACK_STATUS_DUPLICATE: _ClassVar[FeedbackStatus]
    FEEDBACK_STATUS_REJECTED: _ClassVar[FeedbackStatus]
EVENT_TYPE_UNSPECIFIED: EventType
EVENT_TYPE_PLAY: EventType
EVENT_TYPE_COMPLETE: EventType
EVENT_TYPE_SKIP: EventType
EVENT_TYPE_LIKE: EventType
EVENT_TYPE_DISLIKE: EventType
EVENT_TYPE_SAVE: EventType
EVENT_TYPE_ADD_TO_PLAYLIST: EventType
EVENT_TYPE_FOLLOW_ARTIST: EventType
EVENT_TYPE_SHARE: EventType
EVENT_TYPE_RATING: EventType
EVENT_TYPE_IMPRESSION: EventType
FEEDBACK_STATUS_UNSPECIFIED: FeedbackStatus
FEEDBACK_STATUS_ACCEPTED: FeedbackStatus
FEEDBACK_STATUS_DUPLICATE: FeedbackStatus
FEEDBACK_STATUS_REJECTED: FeedbackStatus

class GetListenerFeaturesRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class GetListenerFeaturesResponse(_message.Message):
    __slots__ = ("recent_track_ids", "seen_track_ids", "history_length", "genre_shares", "artists", "hour_shares", "weekday_shares", "audio_means", "preference_vector")
    class GenreSharesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class AudioMeansEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RECENT_TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    SEEN_TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_LENGTH_FIELD_NUMBER: _ClassVar[int]
    GENRE_SHARES_FIELD_NUMBER: _ClassVar[int]
    ARTISTS_FIELD_NUMBER: _ClassVar[int]
    HOUR_SHARES_FIELD_NUMBER: _ClassVar[int]
    WEEKDAY_SHARES_FIELD_NUMBER: _ClassVar[int]
    AUDIO_MEANS_FIELD_NUMBER: _ClassVar[int]
    PREFERENCE_VECTOR_FIELD_NUMBER: _ClassVar[int]
    recent_track_ids: _containers.RepeatedScalarFieldContainer[str]
    seen_track_ids: _containers.RepeatedScalarFieldContainer[str]
    history_length: int
    genre_shares: _containers.ScalarMap[str, float]
    artists: _containers.RepeatedCompositeFieldContainer[ArtistShare]
    hour_shares: _containers.RepeatedScalarFieldContainer[float]
    weekday_shares: _containers.RepeatedScalarFieldContainer[float]
    audio_means: _containers.ScalarMap[str, float]
    preference_vector: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, recent_track_ids: _Optional[_Iterable[str]] = ..., seen_track_ids: _Optional[_Iterable[str]] = ..., history_length: _Optional[int] = ..., genre_shares: _Optional[_Mapping[str, float]] = ..., artists: _Optional[_Iterable[_Union[ArtistShare, _Mapping]]] = ..., hour_shares: _Optional[_Iterable[float]] = ..., weekday_shares: _Optional[_Iterable[float]] = ..., audio_means: _Optional[_Mapping[str, float]] = ..., preference_vector: _Optional[_Iterable[float]] = ...) -> None: ...

class ArtistShare(_message.Message):
    __slots__ = ("artist", "share")
    ARTIST_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    artist: str
    share: float
    def __init__(self, artist: _Optional[str] = ..., share: _Optional[float] = ...) -> None: ...

class FeedbackEvent(_message.Message):
    __slots__ = ("event_id", "user_id", "track_id", "type", "occurred_at", "recommendation_id", "rating", "utc_offset_minutes")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDATION_ID_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    UTC_OFFSET_MINUTES_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    user_id: str
    track_id: str
    type: EventType
    occurred_at: _timestamp_pb2.Timestamp
    recommendation_id: str
    rating: float
    utc_offset_minutes: int
    def __init__(self, event_id: _Optional[str] = ..., user_id: _Optional[str] = ..., track_id: _Optional[str] = ..., type: _Optional[_Union[EventType, str]] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., recommendation_id: _Optional[str] = ..., rating: _Optional[float] = ..., utc_offset_minutes: _Optional[int] = ...) -> None: ...

class RecordFeedbackRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[FeedbackEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[FeedbackEvent, _Mapping]]] = ...) -> None: ...

class RecordFeedbackResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[FeedbackResult]
    def __init__(self, results: _Optional[_Iterable[_Union[FeedbackResult, _Mapping]]] = ...) -> None: ...

class StreamFeedbackRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[FeedbackEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[FeedbackEvent, _Mapping]]] = ...) -> None: ...

class StreamFeedbackResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[FeedbackResult]
    def __init__(self, results: _Optional[_Iterable[_Union[FeedbackResult, _Mapping]]] = ...) -> None: ...

class FeedbackResult(_message.Message):
    __slots__ = ("event_id", "status", "reason")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    status: FeedbackStatus
    reason: str
    def __init__(self, event_id: _Optional[str] = ..., status: _Optional[_Union[FeedbackStatus, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class Preferences(_message.Message):
    __slots__ = ("liked_genres", "liked_artists", "liked_moods", "blocked_tracks", "blocked_artists")
    LIKED_GENRES_FIELD_NUMBER: _ClassVar[int]
    LIKED_ARTISTS_FIELD_NUMBER: _ClassVar[int]
    LIKED_MOODS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_TRACKS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_ARTISTS_FIELD_NUMBER: _ClassVar[int]
    liked_genres: _containers.RepeatedScalarFieldContainer[str]
    liked_artists: _containers.RepeatedScalarFieldContainer[str]
    liked_moods: _containers.RepeatedScalarFieldContainer[_track_pb2.Mood]
    blocked_tracks: _containers.RepeatedScalarFieldContainer[str]
    blocked_artists: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, liked_genres: _Optional[_Iterable[str]] = ..., liked_artists: _Optional[_Iterable[str]] = ..., liked_moods: _Optional[_Iterable[_Union[_track_pb2.Mood, str]]] = ..., blocked_tracks: _Optional[_Iterable[str]] = ..., blocked_artists: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdatePreferencesRequest(_message.Message):
    __slots__ = ("user_id", "preferences", "update_mask")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    preferences: Preferences
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, user_id: _Optional[str] = ..., preferences: _Optional[_Union[Preferences, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdatePreferencesResponse(_message.Message):
    __slots__ = ("preferences",)
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    preferences: Preferences
    def __init__(self, preferences: _Optional[_Union[Preferences, _Mapping]] = ...) -> None: ...

class GetPreferencesRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class GetPreferencesResponse(_message.Message):
    __slots__ = ("preferences",)
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    preferences: Preferences
    def __init__(self, preferences: _Optional[_Union[Preferences, _Mapping]] = ...) -> None: ...

class DeleteUserRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class DeleteUserResponse(_message.Message):
    __slots__ = ("deleted_events", "deleted_receipts", "deleted_preferences", "dropped_lists", "masked_history_tracks", "remaining", "deleted_memberships", "deleted_votes", "deleted_session_entries")
    DELETED_EVENTS_FIELD_NUMBER: _ClassVar[int]
    DELETED_RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    DELETED_PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_LISTS_FIELD_NUMBER: _ClassVar[int]
    MASKED_HISTORY_TRACKS_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    DELETED_MEMBERSHIPS_FIELD_NUMBER: _ClassVar[int]
    DELETED_VOTES_FIELD_NUMBER: _ClassVar[int]
    DELETED_SESSION_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    deleted_events: int
    deleted_receipts: int
    deleted_preferences: int
    dropped_lists: int
    masked_history_tracks: int
    remaining: int
    deleted_memberships: int
    deleted_votes: int
    deleted_session_entries: int
    def __init__(self, deleted_events: _Optional[int] = ..., deleted_receipts: _Optional[int] = ..., deleted_preferences: _Optional[int] = ..., dropped_lists: _Optional[int] = ..., masked_history_tracks: _Optional[int] = ..., remaining: _Optional[int] = ..., deleted_memberships: _Optional[int] = ..., deleted_votes: _Optional[int] = ..., deleted_session_entries: _Optional[int] = ...) -> None: ...
