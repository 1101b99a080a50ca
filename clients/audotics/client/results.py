"""Values that the clients return. They are plain, frozen, and hold no protobuf."""

from __future__ import annotations

from dataclasses import dataclass, field
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


class FeedbackStatus(StrEnum):
    """What became of an event. `UNKNOWN` stands for a status that only a newer client knows."""

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class VersionState(StrEnum):
    """Where a model version stands. `UNKNOWN` stands for a state that only a newer client knows."""

    UNKNOWN = "unknown"
    ON_DISK = "on_disk"
    LOADED = "loaded"
    IN_SERVICE = "in_service"
    REFUSED = "refused"


class TiltUpdateOutcome(StrEnum):
    """What became of a proposed policy. `UNKNOWN` stands for an outcome that only a newer client knows."""

    UNKNOWN = "unknown"
    PUBLISHED = "published"
    DROPPED = "dropped"
    REVERTED = "reverted"


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


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """What became of one event. With `REJECTED`, `reason` names the field and what to send instead."""

    event_id: str
    status: FeedbackStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a listener said: what they like, and what must never come."""

    liked_genres: tuple[str, ...] = ()
    liked_artists: tuple[str, ...] = ()
    liked_moods: tuple[str, ...] = ()
    blocked_tracks: tuple[str, ...] = ()
    blocked_artists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListenerFeatures:
    """What is known of a listener now. Shares sum to 1; the 24 hours and 7 weekdays, from Monday, are in UTC.

    `recent_track_ids` are the last tracks of the history, oldest first; `artists` are pairs of a name and a share, the
    largest first. What there is nothing to say of is empty.
    """

    recent_track_ids: tuple[str, ...]
    seen_track_ids: frozenset[str]
    history_length: int
    genre_shares: dict[str, float]
    artists: tuple[tuple[str, float], ...]
    hour_shares: tuple[float, ...]
    weekday_shares: tuple[float, ...]
    audio_means: dict[str, float]
    preference_vector: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DeletedUser:
    """What was removed of a listener; `remaining` is what a count of all tables found afterwards.

    `masked_history_tracks` are tracks of training histories that no longer count; they leave the model repository's
    files with the next training.
    """

    deleted_events: int
    deleted_receipts: int
    deleted_preferences: int
    dropped_lists: int
    masked_history_tracks: int
    remaining: int
    deleted_memberships: int = 0
    deleted_votes: int = 0


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """The answer to `upsert_tracks`."""

    created_count: int
    updated_count: int


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """The answer to `delete_tracks`."""

    deleted_count: int
    unknown_count: int


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A model's input or output. In `shape`, -1 stands for any size."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of a model.

    `metrics` were measured at export time (for example "ndcg@10"), and so was `parity_max_abs_diff`, the largest
    difference between the trained and the exported model. With `REFUSED`, `reason` says why and what to do.
    """

    version: int
    state: VersionState
    reason: str = ""
    created_at: datetime | None = None
    framework: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    size_bytes: int = 0
    parity_max_abs_diff: float | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of the repository, its highest version first, and the versions that labels stand for."""

    name: str
    kind: str
    versions: tuple[VersionInfo, ...]
    labels: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """How the versions with the label "shadow" compare with those in service.

    `overlap_at_k` is the share of the first `k` tracks that both lists have, `score_drift` how much higher the shadow
    scores its own, in standard deviations; both are averages over `request_count` requests.
    """

    versions: dict[str, int]
    request_count: int
    failure_count: int
    skipped_count: int
    overlap_at_k: float
    k: int
    score_drift: float
    served_ms: float
    shadow_ms: float


@dataclass(frozen=True, slots=True)
class BuiltRecall:
    """The share of the `k` best rows that an index found for held-out queries when it was built, and was asked for."""

    k: int
    target: float
    measured: float
    query_count: int


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """The vector index of a loaded version.

    Of its `vector_count` vectors, `changed_count` stand beside the index, since they changed after it was built.
    """

    name: str
    version: int
    kind: str
    settings: str
    metric: str
    dimension: int
    vector_count: int
    changed_count: int
    deleted_count: int
    in_service: bool
    built: BuiltRecall | None


@dataclass(frozen=True, slots=True)
class IndexRecall:
    """The recall of one index: when it was built, over the last sampled searches, and for held-out queries now."""

    name: str
    version: int
    built: BuiltRecall | None
    live: float | None
    live_count: int
    held_out: float | None


@dataclass(frozen=True, slots=True)
class RecallReport:
    """The recall of all indexes. Counts are totals since the server's start."""

    indexes: tuple[IndexRecall, ...]
    sample_share: float
    sampled_count: int
    skipped_count: int
    blocked_count: int
    completed_count: int
    exact_filtered_count: int
    indexed_filtered_count: int
    device_fallback_count: int


@dataclass(frozen=True, slots=True)
class TiltPolicy:
    """How probably each tilt of the hybrid is drawn, by segment and name. `number` 0: nothing was learned yet."""

    arm: str
    number: int
    segments: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TiltEvidence:
    """Two policies on the same lists: the reward a list of the one in force and of the other, and the difference."""

    decision_count: int
    listener_count: int
    before: Estimate
    after: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class TiltUpdate:
    """What became of a proposed policy, and why. `evidence` is None where an operator went back."""

    arm: str
    number: int
    outcome: TiltUpdateOutcome
    created_at: datetime
    replaced: int
    reason: str
    evidence: TiltEvidence | None
    policy: TiltPolicy
