"""Values about groups that go into the clients and come out of them. They are plain, frozen, and hold no protobuf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from audotics.client.results.recommendations import Contribution, Degradation, ExperimentArm, ModelVersion


class GroupStrategy(StrEnum):
    """How members' wishes become one list. `UNKNOWN` stands for a strategy that only a newer client knows."""

    UNKNOWN = "unknown"
    AVERAGE = "average"
    LEAST_MISERY = "least_misery"
    MOST_PLEASURE = "most_pleasure"
    FAIRNESS = "fairness"
    LEARNED_ATTENTION = "learned_attention"


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A listener in a group; `weight`, 0 or more, is how much they count."""

    user_id: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class GroupTrack:
    """A track in a group's list; `score` is comparable within one answer only.

    `chosen_for` names the member whose turn it was, where members take turns. With `explain`, `worth` says what the
    track is worth to each member, 0..1, in their order.
    """

    track_id: str
    title: str
    artist: str
    score: float
    chosen_for: str = ""
    worth: tuple[float, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberSatisfaction:
    """What a list is worth to a member, divided by what their best list is, and the share of the say they had."""

    user_id: str
    satisfaction: float
    weight: float


@dataclass(frozen=True, slots=True)
class GroupRecommendation:
    """The answer to `recommend_group`.

    `harmony` is 1 less the mean difference between two members' satisfactions. `strategy` is the one that made the
    list; `degraded` says why, where it is not the one that was asked for. `experiments` is empty when the group is in
    none.
    """

    recommendation_id: str
    tracks: tuple[GroupTrack, ...]
    members: tuple[MemberSatisfaction, ...]
    harmony: float
    strategy: GroupStrategy
    model_versions: tuple[ModelVersion, ...]
    index_version: str
    degraded: tuple[Degradation, ...]
    experiments: tuple[ExperimentArm, ...] = ()


@dataclass(frozen=True, slots=True)
class TasteFactor:
    """What joins or divides listeners: a genre, a mood, an artist or a feature of sound, by `kind`, and in words.

    `values` are, in the order of the listeners, shares of their tracks, or for sound the mean in standard deviations of
    the catalogue; NaN for somebody of whom nothing is known.
    """

    kind: str
    name: str
    values: tuple[float, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Compatibility:
    """The answer to `score_compatibility`.

    `matrix` has a row a listener, 0..1. `facets` say by genres, moods, artists and sound which share of other pairs of
    listeners is less alike; 0.5 is like strangers.
    """

    user_ids: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    group_score: float
    facets: dict[str, float]
    shared: tuple[TasteFactor, ...]
    dividing: tuple[TasteFactor, ...]
    model_versions: tuple[ModelVersion, ...]
    degraded: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True)
class AudioTrait:
    """A feature of a listener's tracks; `deviation` is how far its mean is from the catalogue's, in its deviations."""

    feature: str
    mean: float
    standard_deviation: float
    catalog_mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class ListeningPattern:
    """When a listener plays: 24 counts from midnight on, 7 from Monday on, local for `local_event_count` of events."""

    event_count: int
    local_event_count: int
    hours: tuple[int, ...]
    weekdays: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TasteTrend:
    """A share of a genre or a mood, by `kind`, that is another in the latest third of tracks."""

    kind: str
    name: str
    earlier_share: float
    recent_share: float


@dataclass(frozen=True, slots=True)
class TasteAnalysis:
    """The answer to `analyze_taste`: shares by name, the largest first, and what stands out, in sentences.

    A diversity goes from 0, for a single genre or mood, to 1, and is None where nothing is known.
    """

    user_id: str
    track_count: int
    genres: dict[str, float]
    moods: dict[str, float]
    artists: dict[str, float]
    genre_diversity: float | None
    mood_diversity: float | None
    audio: tuple[AudioTrait, ...]
    pattern: ListeningPattern
    trends: tuple[TasteTrend, ...]
    insights: tuple[str, ...]
    degraded: tuple[Degradation, ...]


class Vote(StrEnum):
    """What a member thinks of a track in a session."""

    UP = "up"
    DOWN = "down"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class SessionMember:
    """A listener in a session."""

    user_id: str
    weight: float
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class TrackVotes:
    """Votes on a track that has not played yet."""

    track_id: str
    up_count: int
    down_count: int


@dataclass(frozen=True, slots=True)
class SessionPlay:
    """A track that a session played."""

    track_id: str
    started_at: datetime
    skipped: bool


@dataclass(frozen=True, slots=True)
class Session:
    """Several listeners who hear one list together. `name` is "sessions/{id}"; `plays` are the last 100, oldest first.

    `now_playing` is a track's id, or empty; `ended_at` is None while the session goes on.
    """

    name: str
    strategy: GroupStrategy
    fairness_floor: float
    members: tuple[SessionMember, ...]
    now_playing: str
    votes: tuple[TrackVotes, ...]
    plays: tuple[SessionPlay, ...]
    created_at: datetime
    ended_at: datetime | None
