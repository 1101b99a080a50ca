"""The names and signatures that callers may rely on."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys

import pytest

from audotics import client as face
from audotics.client import AsyncRecommenderClient, RecommenderClient

METHODS = [
    "recommend",
    "similar_tracks",
    "rank_tracks",
    "classify_tracks",
    "explain_recommendation",
    "recommend_group",
    "score_compatibility",
    "analyze_taste",
    "create_session",
    "get_session",
    "join_session",
    "leave_session",
    "vote_track",
    "set_now_playing",
    "skip_track",
    "end_session",
    "record_feedback",
    "update_preferences",
    "get_preferences",
    "delete_user",
    "upsert_tracks",
    "get_tracks",
    "delete_tracks",
    "list_artists",
    "get_artists",
    "list_models",
    "get_model",
    "load_version",
    "unload_version",
    "set_label",
    "remove_label",
    "rollback",
    "get_shadow_report",
    "list_indexes",
    "rebuild_index",
    "get_recall_report",
    "list_model_records",
    "create_experiment",
    "get_experiment",
    "list_experiments",
    "set_traffic",
    "stop_experiment",
    "promote_arm",
    "report_experiment",
    "evaluate_policy",
    "get_tilt_policy",
    "list_tilt_updates",
    "propose_tilt_update",
    "revert_tilt_update",
    "wait_until_ready",
    "close",
]


def test_exported_names():
    assert sorted(face.__all__) == [
        "Activity",
        "Arm",
        "ArmReport",
        "Artist",
        "ArtistPage",
        "AsyncRecommenderClient",
        "AudioFeatures",
        "AudioTrait",
        "AudoticsError",
        "BuiltRecall",
        "CallCancelledError",
        "Classification",
        "ClassifiedTrack",
        "Comparison",
        "Compatibility",
        "Contribution",
        "DeadlineExceededError",
        "Degradation",
        "DegradationReason",
        "DeleteResult",
        "DeletedUser",
        "DrawnTilt",
        "ErrorDetails",
        "Estimate",
        "Estimator",
        "EventType",
        "Experiment",
        "ExperimentArm",
        "ExperimentEvent",
        "ExperimentPlan",
        "ExperimentRecord",
        "ExperimentReport",
        "ExperimentState",
        "ExplainedCandidate",
        "Explanation",
        "FailedPreconditionError",
        "FeatureRange",
        "FeedbackEvent",
        "FeedbackResult",
        "FeedbackStatus",
        "FieldViolation",
        "GroupMember",
        "GroupRecommendation",
        "GroupStrategy",
        "GroupTrack",
        "Guardrails",
        "IndexInfo",
        "IndexRecall",
        "InternalError",
        "InvalidArgumentError",
        "Keepalive",
        "ListenerFeatures",
        "ListeningPattern",
        "MemberSatisfaction",
        "Metric",
        "ModelEvent",
        "ModelEventOrigin",
        "ModelInfo",
        "ModelRecord",
        "ModelRecordPage",
        "ModelVersion",
        "Mood",
        "NO_RETRIES",
        "NotFoundError",
        "Objectives",
        "PermissionDeniedError",
        "PipelineSettings",
        "PolicyEstimate",
        "PolicyEstimates",
        "PolicyRule",
        "Preferences",
        "Promotion",
        "QuotaViolation",
        "Ranking",
        "RecallReport",
        "Recommendation",
        "RecommendedTrack",
        "RecommenderClient",
        "Resource",
        "ResourceExhaustedError",
        "RetryPolicy",
        "SampleRatio",
        "Session",
        "SessionMember",
        "SessionPlay",
        "ShadowReport",
        "SimilarTrack",
        "SimilarTracks",
        "TasteAnalysis",
        "TasteFactor",
        "TasteTrend",
        "TensorInfo",
        "TiltEvidence",
        "TiltPolicy",
        "TiltUpdate",
        "TiltUpdateOutcome",
        "Tls",
        "Track",
        "TrackFilter",
        "TrackVotes",
        "UnauthenticatedError",
        "UnavailableError",
        "UnimplementedError",
        "UnknownError",
        "UpsertResult",
        "VersionInfo",
        "VersionState",
        "Vote",
    ]
    assert all(hasattr(face, name) for name in face.__all__)


@pytest.mark.parametrize("method", METHODS)
def test_both_clients_have_the_same_methods(method):
    blocking, awaitable = getattr(RecommenderClient, method), getattr(AsyncRecommenderClient, method)

    assert list(inspect.signature(blocking).parameters.values()) == list(
        inspect.signature(awaitable).parameters.values()
    )
    assert inspect.getdoc(blocking) == inspect.getdoc(awaitable)
    assert inspect.iscoroutinefunction(awaitable)
    assert not inspect.iscoroutinefunction(blocking)


def test_help_shows_the_arguments_of_a_bound_method():
    with RecommenderClient("localhost:1") as client:
        parameters = inspect.signature(client.recommend).parameters

    assert next(iter(parameters)) == "user_id"
    assert parameters["limit"].default == 20
    assert parameters["limit"].kind is inspect.Parameter.KEYWORD_ONLY


def test_values_are_frozen():
    values = [getattr(face, name) for name in face.__all__ if dataclasses.is_dataclass(getattr(face, name))]

    assert len(values) > 20
    assert all(value.__dataclass_params__.frozen for value in values)
    assert all(hasattr(value, "__slots__") for value in values)


def test_every_exception_is_in_the_tree():
    errors = [getattr(face, name) for name in face.__all__ if name.endswith("Error")]

    assert len(errors) == 13
    assert all(issubclass(error, face.AudoticsError) for error in errors)


def test_importing_the_client_imports_no_other_part_and_no_numpy():
    script = "import sys, audotics.client; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()

    parts = {".".join(name.split(".")[:2]) for name in loaded if name.startswith("audotics.")}
    assert parts == {"audotics.client", "audotics.v1"}
    assert "numpy" not in loaded
