from audotics.v1 import recommender_service_pb2 as _recommender_service_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Vote(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VOTE_UNSPECIFIED: _ClassVar[Vote]
    VOTE_UP: _ClassVar[Vote]
    VOTE_DOWN: _ClassVar[Vote]
    VOTE_WITHDRAWN: _ClassVar[Vote]
VOTE_UNSPECIFIED: Vote
VOTE_UP: Vote
VOTE_DOWN: Vote
VOTE_WITHDRAWN: Vote

class Session(_message.Message):
    __slots__ = ("name", "strategy", "fairness_floor", "members", "now_playing", "votes", "plays", "created_at", "ended_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_FLOOR_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    NOW_PLAYING_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    PLAYS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    strategy: _recommender_service_pb2.GroupStrategy
    fairness_floor: float
    members: _containers.RepeatedCompositeFieldContainer[SessionMember]
    now_playing: str
    votes: _containers.RepeatedCompositeFieldContainer[TrackVotes]
    plays: _containers.RepeatedCompositeFieldContainer[SessionPlay]
    created_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., strategy: _Optional[_Union[_recommender_service_pb2.GroupStrategy, str]] = ..., fairness_floor: _Optional[float] = ..., members: _Optional[_Iterable[_Union[SessionMember, _Mapping]]] = ..., now_playing: _Optional[str] = ..., votes: _Optional[_Iterable[_Union[TrackVotes, _Mapping]]] = ..., plays: _Optional[_Iterable[_Union[SessionPlay, _Mapping]]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SessionMember(_message.Message):
    __slots__ = ("user_id", "weight", "joined_at")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    JOINED_AT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    weight: float
    joined_at: _timestamp_pb2.Timestamp
    def __init__(self, user_id: _Optional[str] = ..., weight: _Optional[float] = ..., joined_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TrackVotes(_message.Message):
    __slots__ = ("track_id", "up_count", "down_count")
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    UP_COUNT_FIELD_NUMBER: _ClassVar[int]
    DOWN_COUNT_FIELD_NUMBER: _ClassVar[int]
    track_id: str
    up_count: int
    down_count: int
    def __init__(self, track_id: _Optional[str] = ..., up_count: _Optional[int] = ..., down_count: _Optional[int] = ...) -> None: ...

class SessionPlay(_message.Message):
    __slots__ = ("track_id", "started_at", "skipped")
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    track_id: str
    started_at: _timestamp_pb2.Timestamp
    skipped: bool
    def __init__(self, track_id: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., skipped: bool = ...) -> None: ...

class CreateSessionRequest(_message.Message):
    __slots__ = ("session_id", "members", "strategy", "fairness_floor")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_FLOOR_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    members: _containers.RepeatedCompositeFieldContainer[_recommender_service_pb2.GroupMember]
    strategy: _recommender_service_pb2.GroupStrategy
    fairness_floor: float
    def __init__(self, session_id: _Optional[str] = ..., members: _Optional[_Iterable[_Union[_recommender_service_pb2.GroupMember, _Mapping]]] = ..., strategy: _Optional[_Union[_recommender_service_pb2.GroupStrategy, str]] = ..., fairness_floor: _Optional[float] = ...) -> None: ...

class CreateSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class JoinSessionRequest(_message.Message):
    __slots__ = ("name", "member")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    name: str
    member: _recommender_service_pb2.GroupMember
    def __init__(self, name: _Optional[str] = ..., member: _Optional[_Union[_recommender_service_pb2.GroupMember, _Mapping]] = ...) -> None: ...

class JoinSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class LeaveSessionRequest(_message.Message):
    __slots__ = ("name", "user_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    user_id: str
    def __init__(self, name: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class LeaveSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class VoteTrackRequest(_message.Message):
    __slots__ = ("name", "user_id", "track_id", "vote")
    NAME_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    VOTE_FIELD_NUMBER: _ClassVar[int]
    name: str
    user_id: str
    track_id: str
    vote: Vote
    def __init__(self, name: _Optional[str] = ..., user_id: _Optional[str] = ..., track_id: _Optional[str] = ..., vote: _Optional[_Union[Vote, str]] = ...) -> None: ...

class VoteTrackResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class SetNowPlayingRequest(_message.Message):
    __slots__ = ("name", "track_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    track_id: str
    def __init__(self, name: _Optional[str] = ..., track_id: _Optional[str] = ...) -> None: ...

class SetNowPlayingResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class SkipTrackRequest(_message.Message):
    __slots__ = ("name", "track_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    track_id: str
    def __init__(self, name: _Optional[str] = ..., track_id: _Optional[str] = ...) -> None: ...

class SkipTrackResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class EndSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...
