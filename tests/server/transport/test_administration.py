"""`FeedbackService`, `CatalogService` and `ModelService` over a real channel."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from audotics.v1 import catalog_service_pb2 as catalog_pb
from audotics.v1 import feedback_service_pb2 as feedback_pb
from audotics.v1 import model_service_pb2 as model_pb
from audotics.v1 import recommender_service_pb2 as recommender_pb
from audotics.v1 import track_pb2

Start = Callable[..., AbstractAsyncContextManager[Any]]
Details = Callable[..., list[Any]]


def states(model: model_pb.Model) -> list[tuple[int, int]]:
    return [(version.version, version.state) for version in model.versions]


async def test_every_event_gets_its_own_result(server: Any) -> None:
    def event(event_id: str, **changes: Any) -> feedback_pb.FeedbackEvent:
        fields = {"user_id": "u", "track_id": "t001", "type": feedback_pb.EVENT_TYPE_PLAY} | changes
        return feedback_pb.FeedbackEvent(event_id=event_id, **fields)

    events = [
        event("a", type=feedback_pb.EVENT_TYPE_RATING, rating=4.5),
        event("b", track_id="nope"),
        event("a"),
        event("c", type=99),
        event("d", occurred_at=Timestamp(seconds=1_500_000_000)),
        event("e", occurred_at=Timestamp(seconds=100_000_000_000)),
        event("f", occurred_at=Timestamp(seconds=5, nanos=-2_000_000_000)),
        event("g", occurred_at=Timestamp(seconds=5, nanos=1_000_000_000)),
    ]
    answer = await server.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(events=events))
    accepted, duplicate, rejected = (
        feedback_pb.FEEDBACK_STATUS_ACCEPTED,
        feedback_pb.FEEDBACK_STATUS_DUPLICATE,
        feedback_pb.FEEDBACK_STATUS_REJECTED,
    )
    assert [(result.event_id, result.status) for result in answer.results] == [
        ("a", accepted),
        ("b", rejected),
        ("a", duplicate),
        ("c", rejected),
        ("d", accepted),
        ("e", rejected),
        ("f", rejected),
        ("g", rejected),
    ]
    assert [result.reason.partition(":")[0] for result in answer.results] == [
        "",
        "track_id",
        "",
        "type",
        "",
        "occurred_at",
        "occurred_at",
        "occurred_at",
    ]


async def test_too_many_events_are_refused(server: Any, details: Details) -> None:
    request = feedback_pb.RecordFeedbackRequest(events=[feedback_pb.FeedbackEvent()] * 1001)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.feedback.RecordFeedback(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert bad.field_violations[0].field == "events"


async def test_tracks_come_and_go(server: Any, details: Details) -> None:
    new = track_pb2.Track(
        track_id="new",
        title="New",
        tags=["rock"],
        release_year=2020,
        audio_features=track_pb2.AudioFeatures(energy=0.5),
    )
    other = track_pb2.Track(track_id="t000", title="Other")
    written = await server.catalog.UpsertTracks(catalog_pb.UpsertTracksRequest(tracks=[new, other]))
    assert (written.created_count, written.updated_count) == (1, 1)
    read = await server.catalog.GetTracks(catalog_pb.GetTracksRequest(track_ids=["t000", "new"]))
    assert list(read.tracks) == [other, new]

    deleted = await server.catalog.DeleteTracks(catalog_pb.DeleteTracksRequest(track_ids=["new", "nope"]))
    assert (deleted.deleted_count, deleted.unknown_count) == (1, 1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.catalog.GetTracks(catalog_pb.GetTracksRequest(track_ids=["t000", "new", "nope"]))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    infos = details(caught.value, error_details_pb2.ResourceInfo)
    assert [info.resource_name for info in infos] == ["new", "nope"]


async def test_one_invalid_track_stops_all(server: Any, details: Details) -> None:
    tracks = [
        track_pb2.Track(track_id="fine"),
        track_pb2.Track(track_id="loud", audio_features=track_pb2.AudioFeatures(energy=11)),
    ]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.catalog.UpsertTracks(catalog_pb.UpsertTracksRequest(tracks=tracks))
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["tracks[1].audio_features.energy"]
    with pytest.raises(grpc.aio.AioRpcError, match="track not found"):
        await server.catalog.GetTracks(catalog_pb.GetTracksRequest(track_ids=["fine"]))


async def test_deleted_tracks_leave_every_list(server: Any) -> None:
    request = recommender_pb.RecommendRequest(subject=recommender_pb.Subject(user_id="u00"), limit=10)
    before = [track.track_id for track in (await server.recommender.Recommend(request)).tracks]
    await server.catalog.DeleteTracks(catalog_pb.DeleteTracksRequest(track_ids=before[:5]))
    after = [track.track_id for track in (await server.recommender.Recommend(request)).tracks]
    assert len(after) == 10
    assert not set(after) & set(before[:5])


async def test_state_is_there_after_a_restart(start: Start, repository: Any) -> None:
    async with start(repository.path) as first:
        tracks = [track_pb2.Track(track_id="new", title="New")]
        await first.catalog.UpsertTracks(catalog_pb.UpsertTracksRequest(tracks=tracks))
        await first.catalog.DeleteTracks(catalog_pb.DeleteTracksRequest(track_ids=["t000"]))
        event = feedback_pb.FeedbackEvent(event_id="e", user_id="u", track_id="t001", type=feedback_pb.EVENT_TYPE_LIKE)
        await first.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(events=[event]))
    async with start(repository.path) as second:
        assert second.app.track_count == 200
        read = await second.catalog.GetTracks(catalog_pb.GetTracksRequest(track_ids=["new"]))
        assert read.tracks[0].title == "New"
        subject = recommender_pb.Subject(user_id="u")
        answer = await second.recommender.Recommend(recommender_pb.RecommendRequest(subject=subject, limit=5))
        assert list(answer.degraded) == []
        again = await second.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(events=[event]))
        assert again.results[0].status == feedback_pb.FEEDBACK_STATUS_DUPLICATE


async def test_models_are_listed_with_what_their_export_recorded(server: Any) -> None:
    answer = await server.models.ListModels(model_pb.ListModelsRequest())
    assert [model.name for model in answer.models] == ["catalog", "collaborative", "content", "hybrid", "ncf"]
    (ncf,) = [model for model in answer.models if model.name == "ncf"]
    assert (ncf.kind, states(ncf)) == ("ncf", [(1, model_pb.VERSION_STATE_IN_SERVICE)])
    version = ncf.versions[0]
    assert version.framework == "numpy"
    assert version.metrics["ndcg@10"] == 0.25
    assert version.parity_max_abs_diff == 1e-6
    assert {model.name: model.versions[0].device for model in answer.models} == {
        "catalog": "",
        "collaborative": "cpu",
        "content": "cpu",
        "hybrid": "cpu",
        "ncf": "cpu",
    }
    assert [(item.name, item.dtype, list(item.shape)) for item in version.inputs] == [
        ("history", "int64", [-1, -1]),
        ("user_index", "int64", [-1]),
        ("track", "int64", [-1]),
    ]
    assert version.size_bytes > 0
    assert version.created_at.seconds > 0
    one = await server.models.GetModel(model_pb.GetModelRequest(name="ncf"))
    assert one.model == ncf


async def test_a_new_version_takes_over_and_the_old_one_can_come_back(
    server: Any, repository: Any, make_repository: Callable[..., Any]
) -> None:
    make_repository(repository.path)
    loaded = await server.models.LoadVersion(model_pb.LoadVersionRequest(name="hybrid", version=2))
    assert states(loaded.model) == [(2, model_pb.VERSION_STATE_IN_SERVICE), (1, model_pb.VERSION_STATE_LOADED)]
    ncf = (await server.models.GetModel(model_pb.GetModelRequest(name="ncf"))).model
    assert states(ncf) == [(2, model_pb.VERSION_STATE_IN_SERVICE), (1, model_pb.VERSION_STATE_LOADED)]
    rolled = await server.models.LoadVersion(model_pb.LoadVersionRequest(name="hybrid", version=1))
    assert states(rolled.model)[1] == (1, model_pb.VERSION_STATE_IN_SERVICE)


async def test_without_a_model_the_rest_serves(server: Any) -> None:
    await server.models.UnloadVersion(model_pb.UnloadVersionRequest(name="ncf", version=1))
    subject = recommender_pb.Subject(user_id="u00")
    answer = await server.recommender.Recommend(recommender_pb.RecommendRequest(subject=subject, limit=5))
    assert len(answer.tracks) == 5
    assert [(part.part, part.reason) for part in answer.degraded] == [
        ("ncf", recommender_pb.DEGRADATION_REASON_UNAVAILABLE)
    ]


async def test_an_altered_bundle_is_refused_and_the_old_version_serves(
    server: Any, repository: Any, make_repository: Callable[..., Any], tmp_path: Path
) -> None:
    make_repository(tmp_path / "other")
    made = make_repository(tmp_path / "other", kinds=("ncf",)).path / "ncf" / "2"
    (made / "model.onnx").write_bytes(b"something else")
    made.rename(repository.path / "ncf" / "2")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.models.LoadVersion(model_pb.LoadVersionRequest(name="ncf", version=2))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "model.onnx" in str(caught.value.details())
    model = (await server.models.GetModel(model_pb.GetModelRequest(name="ncf"))).model
    assert states(model) == [(2, model_pb.VERSION_STATE_REFUSED), (1, model_pb.VERSION_STATE_IN_SERVICE)]
    assert "model.onnx" in model.versions[0].reason


async def test_labels_decide_what_serves_and_what_a_request_may_ask_for(
    server: Any, repository: Any, make_repository: Callable[..., Any]
) -> None:
    make_repository(repository.path)
    subject = recommender_pb.Subject(user_id="u00")

    async def made_by(**models: Any) -> dict[str, int]:
        request = recommender_pb.RecommendRequest(subject=subject, limit=5)
        if models:
            request.models.CopyFrom(recommender_pb.ModelSelector(**models))
        answer = await server.recommender.Recommend(request)
        assert len(answer.tracks) == 5
        return {made.model: made.version for made in answer.model_versions}

    def all_at(version: int) -> dict[str, int]:
        return dict.fromkeys(("collaborative", "content", "hybrid", "ncf"), version)

    await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="stable", version=1))
    label = model_pb.SetLabelRequest(name="hybrid", label="canary", version=2)
    labelled = (await server.models.SetLabel(label)).model
    assert dict(labelled.labels) == {"stable": 1, "canary": 2}
    assert states(labelled) == [(2, model_pb.VERSION_STATE_LOADED), (1, model_pb.VERSION_STATE_IN_SERVICE)]
    assert await made_by() == all_at(1)
    assert await made_by(label="canary") == all_at(2)
    assert await made_by(versions=[{"model": "hybrid", "version": 2}]) == all_at(2)

    ranked = await server.recommender.RankTracks(
        recommender_pb.RankTracksRequest(subject=subject, track_ids=["t000"], models={"label": "canary"})
    )
    assert {made.version for made in ranked.model_versions} == {2}
    similar = await server.recommender.SimilarTracks(
        recommender_pb.SimilarTracksRequest(track_id="t000", limit=3, models={"label": "canary"})
    )
    assert {made.version for made in similar.model_versions} == {2}

    with pytest.raises(grpc.aio.AioRpcError, match=r"model label not found: 'nope'; models.label: there are canary"):
        await made_by(label="nope")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await made_by(versions=[{"model": "ncf", "version": 7}])
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "loaded of it are 1, 2" in str(caught.value.details())

    promoted = (await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="stable", version=2))).model
    assert dict(promoted.labels) == {"canary": 2, "stable": 2}
    assert await made_by() == all_at(2)
    rolled = (await server.models.Rollback(model_pb.RollbackRequest(name="hybrid"))).model
    assert dict(rolled.labels) == {"canary": 2, "stable": 1}
    assert await made_by() == all_at(1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.models.Rollback(model_pb.RollbackRequest(name="hybrid"))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "no version to go back to" in str(caught.value.details())
    removed = (await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="canary"))).model
    assert dict(removed.labels) == {"stable": 1}


@pytest.mark.parametrize(
    ("models", "fields"),
    [
        ({}, ["models"]),
        ({"label": "Canary"}, ["models.label"]),
        ({"versions": [{"model": "", "version": 1}]}, ["models.versions[0].model"]),
        ({"versions": [{"model": "ncf", "version": 0}]}, ["models.versions[0].version"]),
        ({"versions": [{"model": "ncf", "version": 1}, {"model": "ncf", "version": 2}]}, ["models.versions[1].model"]),
        ({"versions": [{"model": f"m{number}", "version": 1} for number in range(33)]}, ["models.versions"]),
    ],
)
async def test_a_wrong_selector_is_named(
    server: Any, details: Details, models: dict[str, Any], fields: list[str]
) -> None:
    request = recommender_pb.RecommendRequest(subject=recommender_pb.Subject(user_id="u00"), limit=5, models=models)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.Recommend(request)
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == fields


async def test_what_cannot_be_done_says_why(server: Any) -> None:
    calls = [
        ("GetModel", model_pb.GetModelRequest(name="nope"), grpc.StatusCode.NOT_FOUND),
        ("LoadVersion", model_pb.LoadVersionRequest(name="ncf", version=7), grpc.StatusCode.NOT_FOUND),
        ("LoadVersion", model_pb.LoadVersionRequest(name="ncf"), grpc.StatusCode.INVALID_ARGUMENT),
        ("SetLabel", model_pb.SetLabelRequest(name="nope", label="x", version=1), grpc.StatusCode.NOT_FOUND),
        ("SetLabel", model_pb.SetLabelRequest(name="ncf", label="x", version=7), grpc.StatusCode.NOT_FOUND),
        ("SetLabel", model_pb.SetLabelRequest(name="ncf", label="X!", version=1), grpc.StatusCode.INVALID_ARGUMENT),
        ("SetLabel", model_pb.SetLabelRequest(name="ncf", label="x", version=-1), grpc.StatusCode.INVALID_ARGUMENT),
        ("Rollback", model_pb.RollbackRequest(name="nope"), grpc.StatusCode.NOT_FOUND),
        ("Rollback", model_pb.RollbackRequest(name="ncf"), grpc.StatusCode.FAILED_PRECONDITION),
        ("UnloadVersion", model_pb.UnloadVersionRequest(name="ncf", version=7), grpc.StatusCode.NOT_FOUND),
        (
            "UnloadVersion",
            model_pb.UnloadVersionRequest(name="catalog", version=1),
            grpc.StatusCode.FAILED_PRECONDITION,
        ),
    ]
    for method, request, code in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(server.models, method)(request)
        assert caught.value.code() is code, request
