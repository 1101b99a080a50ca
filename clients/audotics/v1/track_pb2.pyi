from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Mood(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MOOD_UNSPECIFIED: _ClassVar[Mood]
    MOOD_ENERGETIC: _ClassVar[Mood]
    MOOD_CHILL: _ClassVar[Mood]
    MOOD_HAPPY: _ClassVar[Mood]
    MOOD_MELANCHOLIC: _ClassVar[Mood]
    MOOD_PARTY: _ClassVar[Mood]
    MOOD_FOCUSED: _ClassVar[Mood]
    MOOD_ROMANTIC: _ClassVar[Mood]
    MOOD_WORKOUT: _ClassVar[Mood]
MOOD_UNSPECIFIED: Mood
MOOD_ENERGETIC: Mood
MOOD_CHILL: Mood
MOOD_HAPPY: Mood
MOOD_MELANCHOLIC: Mood
MOOD_PARTY: Mood
MOOD_FOCUSED: Mood
MOOD_ROMANTIC: Mood
MOOD_WORKOUT: Mood

class AudioFeatures(_message.Message):
    __slots__ = ("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness", "liveness", "valence", "tempo")
    DANCEABILITY_FIELD_NUMBER: _ClassVar[int]
    ENERGY_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LOUDNESS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    SPEECHINESS_FIELD_NUMBER: _ClassVar[int]
    ACOUSTICNESS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTALNESS_FIELD_NUMBER: _ClassVar[int]
    LIVENESS_FIELD_NUMBER: _ClassVar[int]
    VALENCE_FIELD_NUMBER: _ClassVar[int]
    TEMPO_FIELD_NUMBER: _ClassVar[int]
    danceability: float
    energy: float
    key: float
    loudness: float
    mode: float
    speechiness: float
    acousticness: float
    instrumentalness: float
    liveness: float
    valence: float
    tempo: float
    def __init__(self, danceability: _Optional[float] = ..., energy: _Optional[float] = ..., key: _Optional[float] = ..., loudness: _Optional[float] = ..., mode: _Optional[float] = ..., speechiness: _Optional[float] = ..., acousticness: _Optional[float] = ..., instrumentalness: _Optional[float] = ..., liveness: _Optional[float] = ..., valence: _Optional[float] = ..., tempo: _Optional[float] = ...) -> None: ...

class Track(_message.Message):
    __slots__ = ("track_id", "title", "artist", "album", "tags", "release_year", "explicit", "duration_ms", "popularity", "audio_features")
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ARTIST_FIELD_NUMBER: _ClassVar[int]
    ALBUM_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_YEAR_FIELD_NUMBER: _ClassVar[int]
    EXPLICIT_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    POPULARITY_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FEATURES_FIELD_NUMBER: _ClassVar[int]
    track_id: str
    title: str
    artist: str
    album: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    release_year: int
    explicit: bool
    duration_ms: int
    popularity: float
    audio_features: AudioFeatures
    def __init__(self, track_id: _Optional[str] = ..., title: _Optional[str] = ..., artist: _Optional[str] = ..., album: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., release_year: _Optional[int] = ..., explicit: bool = ..., duration_ms: _Optional[int] = ..., popularity: _Optional[float] = ..., audio_features: _Optional[_Union[AudioFeatures, _Mapping]] = ...) -> None: ...
