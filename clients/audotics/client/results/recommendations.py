"""What the recommender answers: lists, rankings, similar and classified tracks, explanations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DegradationReason(StrEnum):
    """Why a part was left out of an answer. `UNKNOWN` stands for a reason that only a newer client knows."""

    UNKNOWN = "unknown"
    UNKNOWN_USER = "unknown_user"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    DEADLINE = "deadline"
    FEW_MATCHES = "few_matches"
    UNATTAINABLE = "unattainable"


@dataclass(frozen=True, slots=True)
class Contribution:
    """The part of one model in a track's score: contribution = weight * value."""

    model: str
    weight: float
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class RecommendedTrack:
    """A track in a list.

    `score` is comparable within one answer only; `confidence` is the calibrated probability, 0..1, that the listener
    would choose the track. `contributions` and `reasons` are there when `explain` was asked for.
    """

    track_id: str
    title: str
    artist: str
    score: float
    confidence: float
    contributions: tuple[Contribution, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model version that took part in an answer."""

    model: str
    version: int


@dataclass(frozen=True, slots=True)
class Degradation:
    """A part that was left out of an answer, and why."""

    part: str
    reason: DegradationReason
    detail: str


@dataclass(frozen=True, slots=True)
class ExperimentArm:
    """The arm of an experiment that made a list; `propensity` is 1 where the arm was chosen and not drawn."""

    experiment: str
    arm: str
    propensity: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to `recommend`.

    Send `recommendation_id` back with feedback. `degraded` is empty when nothing was left out, and `experiments` when
    the listener is in none.
    """

    recommendation_id: str
    tracks: tuple[RecommendedTrack, ...]
    model_versions: tuple[ModelVersion, ...]
    index_version: str
    degraded: tuple[Degradation, ...]
    experiments: tuple[ExperimentArm, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer to `rank_tracks`: every candidate, best first."""

    recommendation_id: str
    tracks: tuple[RecommendedTrack, ...]
    model_versions: tuple[ModelVersion, ...]
    degraded: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True)
class ExplainedCandidate:
    """A track that was scored for a list. `rank` is its place in the list, from 1; 0 when it was not listed.

    `replayed` holds the score computed anew, its contributions and the reasons; None when there was no replay.
    """

    track_id: str
    rank: int
    recorded_score: float
    replayed: RecommendedTrack | None


@dataclass(frozen=True, slots=True)
class DrawnTilt:
    """A tilt of the hybrid's weights that was drawn for a list, with the probability of that.

    `factors` holds what the weights of components were multiplied by, without those that were left alone.
    """

    arm: str
    policy: int
    segment: str
    name: str
    propensity: float
    factors: dict[str, float]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a list was made from. `candidates` has the list's own tracks first, in its order.

    When the candidates could not be scored again, `not_replayed_reason` says why. Otherwise `max_abs_difference` is the
    largest between a recorded score and the one computed anew, and `exact` says that it is below 1e-6. `tilt`
    is the one that was drawn where the server learns from feedback.
    """

    recommendation_id: str
    created_at: datetime
    model_versions: tuple[ModelVersion, ...]
    index_version: str
    listener_digest: str
    candidates: tuple[ExplainedCandidate, ...]
    not_replayed_reason: str
    max_abs_difference: float
    exact: bool
    experiments: tuple[ExperimentArm, ...] = ()
    tilt: DrawnTilt | None = None


@dataclass(frozen=True, slots=True)
class SimilarTrack:
    """A neighbour; `similarity` is the cosine of the content embeddings, -1..1."""

    track_id: str
    title: str
    artist: str
    similarity: float


@dataclass(frozen=True, slots=True)
class SimilarTracks:
    """The answer to `similar_tracks`, nearest first."""

    tracks: tuple[SimilarTrack, ...]
    model_versions: tuple[ModelVersion, ...]
    index_version: str
    degraded: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True)
class ClassifiedTrack:
    """Probabilities by mood and by genre, the most probable first; empty where the track lacks audio features."""

    track_id: str
    moods: dict[str, float]
    genres: dict[str, float]


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer to `classify_tracks`, in the order of the request."""

    tracks: tuple[ClassifiedTrack, ...]
    model_versions: tuple[ModelVersion, ...]
    degraded: tuple[Degradation, ...]
