"""Models, versions and indexes through both clients: what arrives at the server, and what the caller gets back."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc
import pytest

from audotics.client import (
    BuiltRecall,
    IndexInfo,
    IndexRecall,
    ModelEvent,
    ModelEventOrigin,
    ModelInfo,
    ModelRecord,
    ModelRecordPage,
    RecallReport,
    ShadowReport,
    TensorInfo,
    UnavailableError,
    VersionInfo,
    VersionState,
)
from audotics.v1 import (
    model_service_pb2,
)

MODEL_MESSAGE = model_service_pb2.Model(
    name="ncf",
    kind="ncf",
    versions=[
        model_service_pb2.VersionInfo(
            version=2,
            state=model_service_pb2.VERSION_STATE_REFUSED,
            reason="model.onnx is altered; export it again",
        ),
        model_service_pb2.VersionInfo(
            version=1,
            state=model_service_pb2.VERSION_STATE_IN_SERVICE,
            created_at={"seconds": 1_700_000_000},
            framework="pytorch",
            metrics={"ndcg@10": 0.25},
            inputs=[model_service_pb2.TensorInfo(name="user", dtype="float32", shape=[-1, 64])],
            outputs=[model_service_pb2.TensorInfo(name="score", dtype="float32", shape=[-1])],
            size_bytes=4096,
            parity_max_abs_diff=0.0,
            device="cuda:0",
        ),
    ],
    labels={"stable": 1},
)
MODEL = ModelInfo(
    "ncf",
    "ncf",
    (
        VersionInfo(2, VersionState.REFUSED, reason="model.onnx is altered; export it again"),
        VersionInfo(
            1,
            VersionState.IN_SERVICE,
            created_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
            framework="pytorch",
            metrics={"ndcg@10": 0.25},
            inputs=(TensorInfo("user", "float32", (-1, 64)),),
            outputs=(TensorInfo("score", "float32", (-1,)),),
            size_bytes=4096,
            parity_max_abs_diff=0.0,
            device="cuda:0",
        ),
    ),
    {"stable": 1},
)


def test_list_models(client, server):
    server.script("ListModels", model_service_pb2.ListModelsResponse(models=[MODEL_MESSAGE]))

    assert client.list_models() == (MODEL,)


@pytest.mark.parametrize(
    ("method", "call", "arguments", "answer"),
    [
        ("GetModel", "get_model", ("ncf",), model_service_pb2.GetModelResponse),
        ("LoadVersion", "load_version", ("ncf", 2), model_service_pb2.LoadVersionResponse),
        ("UnloadVersion", "unload_version", ("ncf", 2), model_service_pb2.UnloadVersionResponse),
        ("SetLabel", "set_label", ("ncf", "canary", 2), model_service_pb2.SetLabelResponse),
        ("Rollback", "rollback", ("ncf",), model_service_pb2.RollbackResponse),
    ],
)
def test_calls_on_one_model(client, server, method, call, arguments, answer):
    server.script(method, answer(model=MODEL_MESSAGE))

    assert getattr(client, call)(*arguments) == MODEL
    (received,) = server.received
    assert received.method == method
    assert received.request.name == "ncf"
    assert method in ("GetModel", "Rollback") or received.request.version == 2
    assert method != "SetLabel" or (received.request.label, received.request.force) == ("canary", False)


def test_a_label_is_forced_and_taken_away(client, server):
    client.set_label("ncf", "stable", 2, force=True)
    client.remove_label("ncf", "stable")

    forced, removed = server.requests
    assert forced == model_service_pb2.SetLabelRequest(name="ncf", label="stable", version=2, force=True)
    assert removed == model_service_pb2.SetLabelRequest(name="ncf", label="stable")


@pytest.mark.parametrize("version", [0, -1])
def test_a_label_is_not_taken_away_by_a_version_that_is_none(client, server, version):
    with pytest.raises(ValueError, match=f"version must be 1 or more, not {version}; remove_label takes a label away"):
        client.set_label("ncf", "stable", version)
    assert server.requests == []


def test_a_rollback_is_never_tried_again(client, server, failure):
    server.script("Rollback", failure(grpc.StatusCode.UNAVAILABLE), model_service_pb2.RollbackResponse())

    with pytest.raises(UnavailableError):
        client.rollback("ncf")
    assert len(server.requests) == 1


def test_indexes_are_values_and_a_rebuild_says_what_it_should(client, server):
    built = model_service_pb2.BuiltRecall(k=10, target=0.95, measured=0.97, query_count=100)
    fields = {"name": "content", "version": 2, "kind": "hnsw", "settings": "hnsw links 16", "metric": "cosine"}
    counts = {"dimension": 16, "vector_count": 9, "changed_count": 3, "deleted_count": 1, "in_service": True}
    message = model_service_pb2.VectorIndex(**fields, **counts, built=built)
    server.script("ListIndexes", model_service_pb2.ListIndexesResponse(indexes=[message]))
    server.script("RebuildIndex", model_service_pb2.RebuildIndexResponse(index=message))

    expected = IndexInfo(**fields, **counts, built=BuiltRecall(10, 0.95, 0.97, 100))
    assert client.list_indexes() == (expected,)
    assert client.rebuild_index("content", 2, retrain=True) == expected
    assert server.requests[-1] == model_service_pb2.RebuildIndexRequest(name="content", version=2, retrain=True)


def test_the_recall_report_tells_none_from_nought(client, server):
    totals = {"sampled_count": 1, "skipped_count": 2, "blocked_count": 3, "completed_count": 4}
    totals |= {"exact_filtered_count": 5, "indexed_filtered_count": 6, "device_fallback_count": 7}
    measured = model_service_pb2.IndexRecall(name="content", version=1, live=0.0, live_count=8, held_out=0.5)
    unknown = model_service_pb2.IndexRecall(name="collaborative", version=1)
    report = model_service_pb2.GetRecallReportResponse(indexes=[measured, unknown], sample_share=0.25, **totals)
    server.script("GetRecallReport", report)

    assert client.get_recall_report(measure=True) == RecallReport(
        (IndexRecall("content", 1, None, 0.0, 8, 0.5), IndexRecall("collaborative", 1, None, None, 0, None)),
        0.25,
        **totals,
    )
    assert server.requests[-1].measure


def test_the_shadow_report_is_a_value(client, server):
    assert client.get_shadow_report() is None
    fields = {"request_count": 9, "failure_count": 1, "skipped_count": 2, "overlap_at_k": 0.5, "k": 10}
    times = {"score_drift": -0.25, "served_ms": 2.0, "shadow_ms": 3.0}
    report = model_service_pb2.ShadowReport(versions={"ncf": 2}, **fields, **times)
    server.script("GetShadowReport", model_service_pb2.GetShadowReportResponse(report=report))

    assert client.get_shadow_report() == ShadowReport(versions={"ncf": 2}, **fields, **times)


def test_records_are_values_and_pages_follow_each_other(client, server):
    fields = {"server": "s1", "model": "ncf", "version": 3, "caller": "10.0.0.1", "reason": "why", "digest": "d"}
    records = [
        model_service_pb2.ModelRecord(
            **fields,
            occurred_at={"seconds": 1_700_000_000},
            event=model_service_pb2.MODEL_EVENT_LABELLED,
            origin=model_service_pb2.MODEL_EVENT_ORIGIN_OPERATOR,
            replaced_version=2,
            label="stable",
        ),
        model_service_pb2.ModelRecord(event=99, origin=99),
    ]
    answer = model_service_pb2.ListModelRecordsResponse(records=records, next_page_token="next")
    server.script("ListModelRecords", answer, model_service_pb2.ListModelRecordsResponse())

    before = datetime(2026, 11, 17, tzinfo=UTC)
    page = client.list_model_records("ncf", before=before, page_size=2)
    assert page.next_page_token == "next"
    assert page.records[0] == ModelRecord(
        occurred_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        event=ModelEvent.LABELLED,
        origin=ModelEventOrigin.OPERATOR,
        replaced_version=2,
        label="stable",
        **fields,
    )
    assert (page.records[1].event, page.records[1].origin) == (ModelEvent.UNKNOWN, ModelEventOrigin.UNKNOWN)
    assert client.list_model_records("ncf", before=before, page_token="next") == ModelRecordPage(())
    first, second = server.requests
    assert (first.model, first.before.ToDatetime(tzinfo=UTC), first.page_size, first.page_token) == (
        "ncf",
        before,
        2,
        "",
    )
    assert (second.page_size, second.page_token) == (50, "next")
    with pytest.raises(ValueError, match="before needs a time zone"):
        client.list_model_records(before=datetime(2026, 11, 17))
