"""The one core of both clients: the arguments of a method go in, a `Call` comes out that either driver can execute.

What is wrong with the arguments themselves is raised here, before anything is sent.
"""

from __future__ import annotations

import inspect
import math
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Generic, TypeVar

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError, Message

from audotics.client import codec
from audotics.client.arguments import FeedbackEvent, Mood, Objectives, Track, TrackFilter
from audotics.client.errors import InternalError
from audotics.client.results import (
    Classification,
    DeletedUser,
    DeleteResult,
    Explanation,
    FeedbackResult,
    ModelInfo,
    Preferences,
    Ranking,
    Recommendation,
    ShadowReport,
    SimilarTracks,
    UpsertResult,
)
from audotics.v1 import catalog_service_pb2 as catalog
from audotics.v1 import feedback_service_pb2 as feedback
from audotics.v1 import model_service_pb2 as model
from audotics.v1 import recommender_service_pb2 as recommender

ResultT = TypeVar("ResultT")

LOAD_TIMEOUT_S: Final = 60.0
"""Loading a version verifies every file and warms the model up, which takes longer than any other call."""


@dataclass(frozen=True, slots=True)
class Call(Generic[ResultT]):
    """One call as a value: the method's path, the request as it goes over the wire, and how to read the answer.

    Every method but `rollback` is idempotent, so that its call may be repeated as it stands. `timeout_s` None means the
    client's default.
    """

    path: str
    request: bytes
    decode: Callable[[bytes], ResultT]
    timeout_s: float | None = None
    repeatable: bool = True

    def __post_init__(self) -> None:
        if self.timeout_s is not None:
            check_timeout(self.timeout_s)

    def read(self, answer: bytes) -> ResultT:
        """Decode `answer`. Raises InternalError when it is not what the method returns."""
        try:
            return self.decode(answer)
        except DecodeError as error:
            raise InternalError(
                f"the answer to {self.path} cannot be read ({error}); is the target an Audotics server?",
                grpc.StatusCode.INTERNAL,
            ) from error


def check_timeout(timeout_s: float) -> None:
    """Raises ValueError unless it is a finite time above 0."""
    if not 0 < timeout_s < math.inf:
        raise ValueError(f"timeout_s must be above 0 and finite, not {timeout_s}")


def recommend(
    user_id: str | None = None,
    *,
    seed_tracks: Iterable[str] | None = None,
    session_tracks: Iterable[str] | None = None,
    limit: int = 20,
    mood: Mood | str | None = None,
    genres: Iterable[str] = (),
    filter: TrackFilter | None = None,
    exclude: Iterable[str] = (),
    diversity: float | None = None,
    objectives: Objectives | None = None,
    explain: bool = False,
    model_label: str | None = None,
    model_versions: Mapping[str, int] = MappingProxyType({}),
    timeout_s: float | None = None,
) -> Call[Recommendation]:
    """The best tracks for a listener, for tracks that stand for a taste, or for an anonymous session.

    Give exactly one of `user_id`, `seed_tracks` (in no order) and `session_tracks` (oldest first). An unknown user is
    served as a new one, and `degraded` says so. `limit` is 1 to 500. `diversity` goes from 0, by score alone, to 1, by
    difference alone; None is the server's default. With `explain`, tracks carry contributions and reasons.

    `model_label` asks for the versions that carry a label, such as "canary", and `model_versions` for certain versions
    of certain models; the rest is what serves by default.
    """
    request = recommender.RecommendRequest(
        subject=_subject(user_id, seed_tracks, session_tracks),
        limit=limit,
        context=codec.encode_context(mood, genres),
        filter=None if filter is None else codec.encode_filter(filter),
        exclude=_exclusion(exclude),
        diversity=diversity,
        objectives=None if objectives is None else codec.encode_objectives(objectives),
        explain=explain,
        models=codec.encode_models(model_label, model_versions),
    )
    return _call(
        "RecommenderService/Recommend", request, recommender.RecommendResponse, codec.decode_recommendation, timeout_s
    )


def similar_tracks(
    track_id: str | None = None,
    *,
    features: Track | None = None,
    vector: Sequence[float] | None = None,
    limit: int = 20,
    filter: TrackFilter | None = None,
    exclude: Iterable[str] = (),
    timeout_s: float | None = None,
) -> Call[SimilarTracks]:
    """The tracks that sound and are listened to like one track, like a set of features, or like a vector.

    Give exactly one of `track_id`, `features` (a track that need not be in the catalogue: its audio features, tags and
    artist are compared) and `vector` (in the content embedding's space, of its dimension). `limit` is 1 to 500.
    """
    _exactly_one(track_id=track_id, features=features, vector=vector)
    request = recommender.SimilarTracksRequest(
        track_id=track_id,
        features=None if features is None else codec.encode_track(features),
        vector=None if vector is None else recommender.FeatureVector(values=vector),
        limit=limit,
        filter=None if filter is None else codec.encode_filter(filter),
        exclude=_exclusion(exclude),
    )
    return _call(
        "RecommenderService/SimilarTracks", request, recommender.SimilarTracksResponse, codec.decode_similar, timeout_s
    )


def rank_tracks(
    user_id: str | None = None,
    *,
    track_ids: Iterable[str],
    seed_tracks: Iterable[str] | None = None,
    session_tracks: Iterable[str] | None = None,
    mood: Mood | str | None = None,
    genres: Iterable[str] = (),
    explain: bool = False,
    model_label: str | None = None,
    model_versions: Mapping[str, int] = MappingProxyType({}),
    timeout_s: float | None = None,
) -> Call[Ranking]:
    """Your own candidates `track_ids` (1 to 1,000, distinct) in the order that suits a subject best.

    Nothing is added, nothing is left out. The subject and the models are given as for `recommend`.
    """
    request = recommender.RankTracksRequest(
        subject=_subject(user_id, seed_tracks, session_tracks),
        track_ids=codec.strings("track_ids", track_ids),
        context=codec.encode_context(mood, genres),
        explain=explain,
        models=codec.encode_models(model_label, model_versions),
    )
    return _call(
        "RecommenderService/RankTracks", request, recommender.RankTracksResponse, codec.decode_ranking, timeout_s
    )


def classify_tracks(
    track_ids: Iterable[str] = (), *, tracks: Iterable[Track] = (), timeout_s: float | None = None
) -> Call[Classification]:
    """The moods and genres that the trained classifiers find in tracks, each with its probability.

    `track_ids` are tracks of the catalogue, `tracks` need not be in it: their audio features are classified. Give 1 to
    1,000 in all; the answer has them in this order.
    """
    request = recommender.ClassifyTracksRequest(
        track_ids=codec.strings("track_ids", track_ids), tracks=[codec.encode_track(track) for track in tracks]
    )
    return _call(
        "RecommenderService/ClassifyTracks",
        request,
        recommender.ClassifyTracksResponse,
        codec.decode_classification,
        timeout_s,
    )


def explain_recommendation(recommendation_id: str, *, timeout_s: float | None = None) -> Call[Explanation]:
    """What a list was made from, and the scores of its candidates, computed anew by the same models.

    NotFoundError when there is no receipt: it has expired, or no such list was made.
    """
    request = recommender.ExplainRecommendationRequest(recommendation_id=recommendation_id)
    return _call(
        "RecommenderService/ExplainRecommendation",
        request,
        recommender.ExplainRecommendationResponse,
        codec.decode_explanation,
        timeout_s,
    )


def record_feedback(
    events: Iterable[FeedbackEvent], *, timeout_s: float | None = None
) -> Call[tuple[FeedbackResult, ...]]:
    """Record up to 1,000 events; each gets its own result, in their order.

    An event without an id gets one here, once, so that a retry cannot record it twice. An event that was recorded by an
    attempt whose answer got lost comes back as a duplicate.
    """
    messages = [codec.encode_event(event, event_id=event.event_id or uuid.uuid4().hex) for event in events]
    request = feedback.RecordFeedbackRequest(events=messages)
    return _call(
        "FeedbackService/RecordFeedback", request, feedback.RecordFeedbackResponse, codec.decode_feedback, timeout_s
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
        messages = [codec.encode_event(event, event_id=event.event_id or uuid.uuid4().hex) for event in events]
        data: bytes = feedback.StreamFeedbackRequest(events=messages).SerializeToString()
        return data

    def read(self, answer: bytes) -> tuple[FeedbackResult, ...]:
        """Raises InternalError when `answer` is not what the method returns."""
        call = Call(
            self.path, b"", lambda data: codec.decode_feedback(feedback.StreamFeedbackResponse.FromString(data))
        )
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
        return codec.decode_preferences(answer.preferences)

    preferences, given = codec.encode_preferences(
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
    return _call("FeedbackService/UpdatePreferences", request, feedback.UpdatePreferencesResponse, decode, timeout_s)


def get_preferences(user_id: str, *, timeout_s: float | None = None) -> Call[Preferences]:
    """What a listener said; empty for a stranger."""

    def decode(answer: feedback.GetPreferencesResponse) -> Preferences:
        return codec.decode_preferences(answer.preferences)

    request = feedback.GetPreferencesRequest(user_id=user_id)
    return _call("FeedbackService/GetPreferences", request, feedback.GetPreferencesResponse, decode, timeout_s)


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
        )

    request = feedback.DeleteUserRequest(user_id=user_id)
    return _call("FeedbackService/DeleteUser", request, feedback.DeleteUserResponse, decode, timeout_s)


def upsert_tracks(tracks: Iterable[Track], *, timeout_s: float | None = None) -> Call[UpsertResult]:
    """Add 1 to 1,000 tracks or replace them whole: all of them or, when one is invalid, none."""

    def decode(answer: catalog.UpsertTracksResponse) -> UpsertResult:
        return UpsertResult(created_count=answer.created_count, updated_count=answer.updated_count)

    request = catalog.UpsertTracksRequest(tracks=[codec.encode_track(track) for track in tracks])
    return _call("CatalogService/UpsertTracks", request, catalog.UpsertTracksResponse, decode, timeout_s)


def get_tracks(track_ids: Iterable[str], *, timeout_s: float | None = None) -> Call[tuple[Track, ...]]:
    """1 to 1,000 tracks, in the order of `track_ids`. NotFoundError names every track that is missing."""
    request = catalog.GetTracksRequest(track_ids=codec.strings("track_ids", track_ids))
    return _call("CatalogService/GetTracks", request, catalog.GetTracksResponse, codec.decode_tracks, timeout_s)


def delete_tracks(track_ids: Iterable[str], *, timeout_s: float | None = None) -> Call[DeleteResult]:
    """Take 1 to 1,000 tracks out of the catalogue and every list from now on. Unknown ones are counted, not refused."""

    def decode(answer: catalog.DeleteTracksResponse) -> DeleteResult:
        return DeleteResult(deleted_count=answer.deleted_count, unknown_count=answer.unknown_count)

    request = catalog.DeleteTracksRequest(track_ids=codec.strings("track_ids", track_ids))
    return _call("CatalogService/DeleteTracks", request, catalog.DeleteTracksResponse, decode, timeout_s)


def list_models(*, timeout_s: float | None = None) -> Call[tuple[ModelInfo, ...]]:
    """Every model of the repository with its versions and their states."""

    def decode(answer: model.ListModelsResponse) -> tuple[ModelInfo, ...]:
        return tuple(codec.decode_model(item) for item in answer.models)

    return _call("ModelService/ListModels", model.ListModelsRequest(), model.ListModelsResponse, decode, timeout_s)


def get_model(name: str, *, timeout_s: float | None = None) -> Call[ModelInfo]:
    """One model of the repository."""

    def decode(answer: model.GetModelResponse) -> ModelInfo:
        return codec.decode_model(answer.model)

    return _call("ModelService/GetModel", model.GetModelRequest(name=name), model.GetModelResponse, decode, timeout_s)


def load_version(name: str, version: int, *, timeout_s: float | None = LOAD_TIMEOUT_S) -> Call[ModelInfo]:
    """Verify a version, warm it up, and put it in service in place of the one that served until now.

    Where the label "stable" names another version, it stays loaded beside that one.
    """

    def decode(answer: model.LoadVersionResponse) -> ModelInfo:
        return codec.decode_model(answer.model)

    request = model.LoadVersionRequest(name=name, version=version)
    return _call("ModelService/LoadVersion", request, model.LoadVersionResponse, decode, timeout_s)


def unload_version(name: str, version: int, *, timeout_s: float | None = LOAD_TIMEOUT_S) -> Call[ModelInfo]:
    """Drop a version from memory and from service. Requests under way finish on it."""

    def decode(answer: model.UnloadVersionResponse) -> ModelInfo:
        return codec.decode_model(answer.model)

    request = model.UnloadVersionRequest(name=name, version=version)
    return _call("ModelService/UnloadVersion", request, model.UnloadVersionResponse, decode, timeout_s)


def set_label(
    name: str, label: str, version: int, *, force: bool = False, timeout_s: float | None = LOAD_TIMEOUT_S
) -> Call[ModelInfo]:
    """Let `label` stand for a version, which is loaded if it is not.

    The version with the label "stable" is in service: it gets there only when it passes the promotion gate, or with
    `force`. FailedPreconditionError says what is in the way.
    """
    return _set_label(model.SetLabelRequest(name=name, label=label, version=version, force=force), timeout_s)


def remove_label(name: str, label: str, *, timeout_s: float | None = None) -> Call[ModelInfo]:
    """Take a label away. What serves goes on serving."""
    return _set_label(model.SetLabelRequest(name=name, label=label), timeout_s)


def rollback(name: str, *, timeout_s: float | None = LOAD_TIMEOUT_S) -> Call[ModelInfo]:
    """Put the version in service that served before; the label "stable" names it from then on.

    A second call goes back once more, so a call that failed is never repeated: see with `get_model` what serves.
    """

    def decode(answer: model.RollbackResponse) -> ModelInfo:
        return codec.decode_model(answer.model)

    request = model.RollbackRequest(name=name)
    call = _call("ModelService/Rollback", request, model.RollbackResponse, decode, timeout_s)
    return replace(call, repeatable=False)


def get_shadow_report(*, timeout_s: float | None = None) -> Call[ShadowReport | None]:
    """How the versions with the label "shadow" compare with those in service; None while there are none."""
    request = model.GetShadowReportRequest()
    return _call("ModelService/GetShadowReport", request, model.GetShadowReportResponse, codec.decode_shadow, timeout_s)


def method_signature(build: Callable[..., object]) -> inspect.Signature:
    """Return the signature of a client's method made from `build`, for help() and editors."""
    signature = inspect.signature(build)
    instance = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    return signature.replace(
        parameters=[instance, *signature.parameters.values()], return_annotation=inspect.Signature.empty
    )


_AnswerT = TypeVar("_AnswerT", bound=Message)


def _set_label(request: model.SetLabelRequest, timeout_s: float | None) -> Call[ModelInfo]:
    def decode(answer: model.SetLabelResponse) -> ModelInfo:
        return codec.decode_model(answer.model)

    return _call("ModelService/SetLabel", request, model.SetLabelResponse, decode, timeout_s)


def _call(
    method: str,
    request: Message,
    answer: type[_AnswerT],
    decode: Callable[[_AnswerT], ResultT],
    timeout_s: float | None,
) -> Call[ResultT]:
    return Call(
        path=f"/audotics.v1.{method}",
        request=request.SerializeToString(),
        decode=lambda data: decode(answer.FromString(data)),
        timeout_s=timeout_s,
    )


def _subject(
    user_id: str | None, seed_tracks: Iterable[str] | None, session_tracks: Iterable[str] | None
) -> recommender.Subject:
    _exactly_one(user_id=user_id, seed_tracks=seed_tracks, session_tracks=session_tracks)
    if seed_tracks is not None:
        return recommender.Subject(
            seed_tracks=recommender.SeedTracks(track_ids=codec.strings("seed_tracks", seed_tracks))
        )
    if session_tracks is not None:
        return recommender.Subject(
            session=recommender.AnonymousSession(track_ids=codec.strings("session_tracks", session_tracks))
        )
    return recommender.Subject(user_id=user_id)


def _exclusion(track_ids: Iterable[str]) -> recommender.Exclusion | None:
    excluded = codec.strings("exclude", track_ids)
    return recommender.Exclusion(track_ids=excluded) if excluded else None


def _exactly_one(**choices: object) -> None:
    given = [name for name, value in choices.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(given) if given else "none"
        raise ValueError(f"give exactly one of {', '.join(choices)}; given: {found}")
