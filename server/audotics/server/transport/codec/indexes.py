"""`ModelService` messages about vector indexes: names go in, what the indexes hold and find goes back."""

from __future__ import annotations

from collections.abc import Sequence

from audotics.bundle.indexes.settings import Recall
from audotics.server.repository.status import IndexStatus
from audotics.server.services.indexes import RecallReport
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import model_service_pb2 as pb


def decode_rebuild(request: pb.RebuildIndexRequest) -> tuple[str, int | None]:
    """The model, and its version or None for the one in service. Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("name", request.name)
    if request.version < 0:
        violations.add("version", f"is {request.version}; send a positive integer, or 0 for the version in service")
    violations.raise_if_any()
    return request.name, request.version or None


def encode_index(status: IndexStatus) -> pb.VectorIndex:
    index = status.index
    settings = index.stored.settings
    return pb.VectorIndex(
        name=status.name,
        version=status.version,
        kind=str(settings.kind),
        settings=settings.label,
        metric=str(settings.metric),
        dimension=index.dimension,
        vector_count=index.live_count,
        changed_count=index.delta_size,
        deleted_count=index.size - index.live_count,
        in_service=status.in_service,
        built=_encode_built(index.stored.recall),
    )


def encode_indexes(statuses: Sequence[IndexStatus]) -> pb.ListIndexesResponse:
    return pb.ListIndexesResponse(indexes=[encode_index(status) for status in statuses])


def encode_recall(report: RecallReport) -> pb.GetRecallReportResponse:
    counts = report.counts
    return pb.GetRecallReportResponse(
        indexes=[
            pb.IndexRecall(
                name=recall.status.name,
                version=recall.status.version,
                built=_encode_built(recall.status.index.stored.recall),
                live=recall.live,
                live_count=recall.live_count,
                held_out=recall.held_out,
            )
            for recall in report.indexes
        ],
        sample_share=report.sample_share,
        sampled_count=counts.recall_samples,
        skipped_count=counts.recall_skipped,
        blocked_count=counts.swaps_blocked,
        completed_count=counts.completed,
        exact_filtered_count=counts.exact_filtered,
        indexed_filtered_count=counts.indexed_filtered,
        device_fallback_count=counts.device_fallbacks,
    )


def _encode_built(recall: Recall | None) -> pb.BuiltRecall | None:
    if recall is None:
        return None
    return pb.BuiltRecall(k=recall.k, target=recall.target, measured=recall.measured, query_count=recall.queries)
