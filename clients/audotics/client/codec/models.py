"""Models, versions, indexes and shadows between Python and messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from audotics.client.codec.scalars import received
from audotics.client.results.models import (
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
    VersionInfo,
    VersionState,
)
from audotics.v1 import model_service_pb2


def decode_model(message: model_service_pb2.Model) -> ModelInfo:
    versions = tuple(_version(item) for item in message.versions)
    return ModelInfo(message.name, message.kind, versions, dict(message.labels))


def decode_index(message: model_service_pb2.VectorIndex) -> IndexInfo:
    return IndexInfo(
        name=message.name,
        version=message.version,
        kind=message.kind,
        settings=message.settings,
        metric=message.metric,
        dimension=message.dimension,
        vector_count=message.vector_count,
        changed_count=message.changed_count,
        deleted_count=message.deleted_count,
        in_service=message.in_service,
        built=_built(message),
    )


def decode_recall(message: model_service_pb2.GetRecallReportResponse) -> RecallReport:
    return RecallReport(
        indexes=tuple(
            IndexRecall(
                name=index.name,
                version=index.version,
                built=_built(index),
                live=index.live if index.HasField("live") else None,
                live_count=index.live_count,
                held_out=index.held_out if index.HasField("held_out") else None,
            )
            for index in message.indexes
        ),
        sample_share=message.sample_share,
        sampled_count=message.sampled_count,
        skipped_count=message.skipped_count,
        blocked_count=message.blocked_count,
        completed_count=message.completed_count,
        exact_filtered_count=message.exact_filtered_count,
        indexed_filtered_count=message.indexed_filtered_count,
        device_fallback_count=message.device_fallback_count,
    )


def _built(message: model_service_pb2.VectorIndex | model_service_pb2.IndexRecall) -> BuiltRecall | None:
    if not message.HasField("built"):
        return None
    built = message.built
    return BuiltRecall(built.k, built.target, built.measured, built.query_count)


def decode_shadow(message: model_service_pb2.GetShadowReportResponse) -> ShadowReport | None:
    if not message.HasField("report"):
        return None
    report = message.report
    return ShadowReport(
        versions=dict(report.versions),
        request_count=report.request_count,
        failure_count=report.failure_count,
        skipped_count=report.skipped_count,
        overlap_at_k=report.overlap_at_k,
        k=report.k,
        score_drift=report.score_drift,
        served_ms=report.served_ms,
        shadow_ms=report.shadow_ms,
    )


def decode_records(message: model_service_pb2.ListModelRecordsResponse) -> ModelRecordPage:
    return ModelRecordPage(tuple(_record(item) for item in message.records), message.next_page_token)


def _record(message: model_service_pb2.ModelRecord) -> ModelRecord:
    event_of, origin_of = model_service_pb2.ModelEvent.Name, model_service_pb2.ModelEventOrigin.Name
    return ModelRecord(
        occurred_at=message.occurred_at.ToDatetime(tzinfo=UTC),
        server=message.server,
        model=message.model,
        version=message.version,
        event=received(message.event, event_of, "MODEL_EVENT_", ModelEvent),
        origin=received(message.origin, origin_of, "MODEL_EVENT_ORIGIN_", ModelEventOrigin),
        caller=message.caller,
        replaced_version=message.replaced_version,
        label=message.label,
        reason=message.reason,
        digest=message.digest,
    )


def _version(message: model_service_pb2.VersionInfo) -> VersionInfo:
    return VersionInfo(
        version=message.version,
        state=received(message.state, model_service_pb2.VersionState.Name, "VERSION_STATE_", VersionState),
        reason=message.reason,
        created_at=message.created_at.ToDatetime(tzinfo=UTC) if message.HasField("created_at") else None,
        framework=message.framework,
        metrics=dict(message.metrics),
        inputs=_tensors(message.inputs),
        outputs=_tensors(message.outputs),
        size_bytes=message.size_bytes,
        parity_max_abs_diff=message.parity_max_abs_diff if message.HasField("parity_max_abs_diff") else None,
        device=message.device,
    )


def _tensors(messages: Iterable[model_service_pb2.TensorInfo]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(item.name, item.dtype, tuple(item.shape)) for item in messages)
