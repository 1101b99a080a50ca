"""Values that travel between the floors of the server. Protobuf stops at `transport/codec.py`; these go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Subject:
    """For whom a list is made: a stored user, or tracks that stand for a taste (`seed_tracks`, `session`).

    In a receipt it may be a group, of which nobody is named.
    """

    kind: Literal["user", "seed_tracks", "session", "group"]
    user_id: str = ""
    track_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """The situation: a mood, an activity and a part of the day or none, and genres, by `audotics.features.rules`."""

    mood: str | None = None
    genres: tuple[str, ...] = ()
    activity: str | None = None
    day_part: str | None = None

    @property
    def asks(self) -> bool:
        """Whether it asks for certain tracks, as the time alone does not."""
        return self.mood is not None or self.activity is not None or bool(self.genres)


@dataclass(frozen=True, slots=True)
class FeatureRange:
    """A closed range of an audio feature, `duration_ms` or `popularity`; None is open."""

    feature: str
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class TrackFilter:
    """Hard conditions. Empty tuples and None ask for nothing."""

    genres: tuple[str, ...] = ()
    excluded_genres: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    excluded_artists: tuple[str, ...] = ()
    min_release_year: int | None = None
    max_release_year: int | None = None
    explicit: bool | None = None
    ranges: tuple[FeatureRange, ...] = ()


@dataclass(frozen=True, slots=True)
class Objectives:
    """Non-negative weights on what the order of a list serves."""

    relevance: float = 1.0
    novelty: float = 0.0
    popularity: float = 0.0
    freshness: float = 0.0
    artist_fairness: float = 0.0


class Priority(IntEnum):
    """Who goes first where requests wait for one another."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose turn it is where requests wait for one another: tenants of one class take turns."""

    tenant: str = ""
    priority: Priority = Priority.NORMAL


ANYBODY: Final = Caller()


@dataclass(frozen=True, slots=True)
class ModelSelector:
    """Which model versions make an answer: those with a label, and certain ones by model and number, which win."""

    label: str = ""
    versions: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How wide the pipeline looks, by the names of its own options; None leaves one as it is."""

    collaborative_candidates: int | None = None
    content_interests: int | None = None
    candidates_per_interest: int | None = None
    context_candidates: int | None = None
    minimum_candidates: int | None = None
    artist_cap: int | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """An arm of an experiment that a list is made by, and with which probability it was drawn among the arms.

    It is 1 where the arm was chosen and not drawn. `experiment` is "" for a listener held out of all experiments.
    """

    experiment: str
    arm: str
    propensity: float


@dataclass(frozen=True, slots=True)
class Draw:
    """A tilt of the hybrid's weights that was drawn for a list.

    `factors` (6,) multiply the weights of `audotics.features.hybrid.COMPONENTS`; `propensity` is the probability with
    which policy number `policy` of an experiment's `arm` ("" without one) draws this tilt in this segment, `chances`
    those of all tilts.
    """

    arm: str
    segment: str
    tilt: str
    factors: tuple[float, ...]
    propensity: float
    policy: int
    chances: tuple[float, ...] = field(default=(), compare=False, repr=False)


def arm_key(exposures: Sequence[Exposure]) -> str:
    """Names the learners that a request teaches: "" outside experiments, else "experiment/arm", by commas."""
    return ",".join(f"{exposure.experiment}/{exposure.arm}" for exposure in exposures if exposure.experiment)


def multiplied(tilt: tuple[float, ...], factors: Sequence[float]) -> tuple[float, ...]:
    """An arm's tilt, () for none, times `factors`."""
    return tuple(one * other for one, other in zip(tilt, factors, strict=True)) if tilt else tuple(factors)


def combined_factors(tilt: tuple[float, ...], draw: Draw | None) -> tuple[float, ...]:
    """Those of an experiment's arm times those that were drawn; () for none."""
    return tilt if draw is None else multiplied(tilt, draw.factors)


@dataclass(frozen=True, slots=True)
class RecommendQuery:
    """A validated `Recommend` request. `deadline` is on the clock of `time.monotonic()`, None for no limit.

    `tilt` holds multipliers of the hybrid's weights, in the order of its components; empty for none. `exposures` are
    the arms of experiments that have set what the request left open. A list of the tracks `shown`, in their order, is
    not sent again, and nobody is told that it was made. `erased_at` is that of the listener.
    """

    subject: Subject
    limit: int
    context: Context = field(default_factory=Context)
    filter: TrackFilter = field(default_factory=TrackFilter)
    excluded: tuple[str, ...] = ()
    diversity: float | None = None
    objectives: Objectives = field(default_factory=Objectives)
    explain: bool = False
    deadline: float | None = None
    models: ModelSelector | None = None
    caller: Caller = ANYBODY
    tilt: tuple[float, ...] = ()
    pipeline: PipelineSettings | None = None
    exposures: tuple[Exposure, ...] = ()
    draw: Draw | None = None
    shown: tuple[str, ...] | None = None
    erased_at: float | None = None

    @property
    def arm_key(self) -> str:
        """That of `arm_key`."""
        return arm_key(self.exposures)

    @property
    def factors(self) -> tuple[float, ...]:
        """What the hybrid's weights are multiplied by, () for nothing."""
        return combined_factors(self.tilt, self.draw)


@dataclass(frozen=True, slots=True)
class RankQuery:
    """A validated `RankTracks` request. `tilt` is as in `RecommendQuery`."""

    subject: Subject
    track_ids: tuple[str, ...]
    context: Context = field(default_factory=Context)
    explain: bool = False
    deadline: float | None = None
    models: ModelSelector | None = None
    caller: Caller = ANYBODY
    tilt: tuple[float, ...] = ()
    draw: Draw | None = None

    @property
    def factors(self) -> tuple[float, ...]:
        """What the hybrid's weights are multiplied by, () for nothing."""
        return combined_factors(self.tilt, self.draw)


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """One track as a caller writes and reads it. Unknown text is "", unknown numbers are None."""

    track_id: str
    title: str = ""
    artist: str = ""
    album: str = ""
    tags: tuple[str, ...] = ()
    release_year: int | None = None
    explicit: bool | None = None
    duration_ms: int | None = None
    popularity: float | None = None
    audio: tuple[float | None, ...] = ()  # in the order of AUDIO_FEATURES, or empty when nothing is known


@dataclass(frozen=True, slots=True)
class SimilarQuery:
    """A validated `SimilarTracks` request; exactly one of the first three is set."""

    limit: int
    track_id: str | None = None
    track: TrackRecord | None = None
    vector: tuple[float, ...] | None = None
    filter: TrackFilter = field(default_factory=TrackFilter)
    excluded: tuple[str, ...] = ()
    deadline: float | None = None
    models: ModelSelector | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a listener said, in words of the catalogue: what they like, and what must never come."""

    liked_genres: tuple[str, ...] = ()
    liked_artists: tuple[str, ...] = ()
    liked_moods: tuple[str, ...] = ()
    blocked_tracks: tuple[str, ...] = ()
    blocked_artists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listener:
    """A resolved subject, as rows of one catalogue snapshot.

    `history` holds the rows that say what the listener likes, oldest first; `seen` every row that must not come back.
    `context` stands in for that of a request that has none. `erased_at` names the deletion after which this was read,
    None for who was never deleted.
    """

    history: NDArray[np.int64]
    seen: NDArray[np.int64]
    known: bool = True
    context: Context = field(default_factory=Context)
    erased_at: float | None = None


class DegradationReason(StrEnum):
    """Why a part was left out."""

    UNKNOWN_USER = "unknown_user"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    DEADLINE = "deadline"
    FEW_MATCHES = "few_matches"
    UNATTAINABLE = "unattainable"


@dataclass(frozen=True, slots=True)
class Degradation:
    """A part that was left out of an answer."""

    part: str
    reason: DegradationReason
    detail: str

    @classmethod
    def late(cls, part: str) -> Degradation:
        return cls(part, DegradationReason.DEADLINE, "the deadline left no time for it")


@dataclass(frozen=True, slots=True)
class Contribution:
    """A model's part in a score: contribution = weight * value."""

    model: str
    weight: float
    value: float

    @property
    def contribution(self) -> float:
        return self.weight * self.value


@dataclass(frozen=True, slots=True)
class RankedTrack:
    """A track in a list. `confidence` is a calibrated probability."""

    track_id: str
    title: str
    artist: str
    score: float
    confidence: float
    contributions: tuple[Contribution, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to `Recommend` and `RankTracks`."""

    recommendation_id: str
    tracks: tuple[RankedTrack, ...]
    model_versions: tuple[tuple[str, int], ...]
    index_version: str
    degraded: tuple[Degradation, ...]
    exposures: tuple[Exposure, ...] = ()


@dataclass(frozen=True, slots=True)
class SimilarTrack:
    """A neighbour with its cosine similarity."""

    track_id: str
    title: str
    artist: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Similarity:
    """The answer to `SimilarTracks`."""

    tracks: tuple[SimilarTrack, ...]
    model_versions: tuple[tuple[str, int], ...]
    index_version: str
    degraded: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True)
class ClassifyQuery:
    """A validated `ClassifyTracks` request: tracks of the catalogue, and tracks that need not be in it."""

    track_ids: tuple[str, ...] = ()
    tracks: tuple[TrackRecord, ...] = ()
    models: ModelSelector | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class ClassifiedTrack:
    """Pairs of a class and its probability, the most probable first; empty where the track lacks audio features."""

    track_id: str
    moods: tuple[tuple[str, float], ...]
    genres: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer to `ClassifyTracks`."""

    tracks: tuple[ClassifiedTrack, ...]
    model_versions: tuple[tuple[str, int], ...]
    degraded: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """A validated feedback event. `type` is a name of `audotics.features.history`, `occurred_at` UTC seconds."""

    event_id: str
    user_id: str
    track_id: str
    type: str
    occurred_at: float
    recommendation_id: str = ""
    rating: float | None = None
    utc_offset_minutes: int | None = None
