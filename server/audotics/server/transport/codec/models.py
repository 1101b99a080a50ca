"""`ModelService` messages: names and versions go in, the states of models go back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from audotics.bundle.labels import is_label
from audotics.bundle.manifest import TensorSpec
from audotics.server.repository.status import ModelStatus, VersionStatus
from audotics.server.services.shadow import ShadowReport
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import model_service_pb2 as pb


def decode_name(request: pb.GetModelRequest | pb.RollbackRequest) -> str:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("name", request.name)
    violations.raise_if_any()
    return request.name


def decode_version(request: pb.LoadVersionRequest | pb.UnloadVersionRequest) -> tuple[str, int]:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("name", request.name)
    if request.version < 1:
        violations.add("version", f"is {request.version}; send a positive integer")
    violations.raise_if_any()
    return request.name, request.version


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A checked `SetLabel` request; `version` None takes the label away."""

    name: str
    label: str
    version: int | None
    force: bool


def decode_label(request: pb.SetLabelRequest) -> LabelChange:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("name", request.name)
    if not is_label(request.label):
        problem = f"is {request.label[:40]!r}; send lower-case letters, digits, '-' and '_', a letter first, up to 32"
        violations.add("label", problem)
    if request.version < 0:
        violations.add("version", f"is {request.version}; send a positive integer, or 0 to take the label away")
    violations.raise_if_any()
    return LabelChange(request.name, request.label, request.version or None, request.force)


def encode_model(status: ModelStatus) -> pb.Model:
    return pb.Model(
        name=status.name,
        kind=status.kind,
        versions=[_encode_version(version) for version in status.versions],
        labels=status.labels,
    )


def encode_models(statuses: Sequence[ModelStatus]) -> pb.ListModelsResponse:
    return pb.ListModelsResponse(models=[encode_model(status) for status in statuses])


def encode_shadow(report: ShadowReport | None) -> pb.GetShadowReportResponse:
    if report is None:
        return pb.GetShadowReportResponse()
    message = pb.ShadowReport(
        versions=dict(report.versions),
        request_count=report.request_count,
        failure_count=report.failure_count,
        skipped_count=report.skipped_count,
        overlap_at_k=report.overlap_at_k,
        k=report.k,
        score_drift=report.score_drift,
        served_ms=1000 * report.served_s,
        shadow_ms=1000 * report.shadow_s,
    )
    return pb.GetShadowReportResponse(report=message)


def _encode_version(status: VersionStatus) -> pb.VersionInfo:
    info = pb.VersionInfo(
        version=status.version,
        state=pb.VersionState.Value(f"VERSION_STATE_{status.state.upper()}"),
        reason=status.reason,
        device=status.device,
    )
    if (manifest := status.manifest) is not None:
        info.framework = manifest.framework
        info.metrics.update(manifest.metrics)
        info.inputs.extend(_encode_tensor(spec) for spec in manifest.inputs)
        info.outputs.extend(_encode_tensor(spec) for spec in manifest.outputs)
        info.size_bytes = manifest.size_bytes
        info.created_at.CopyFrom(_encode_time(manifest.created_at))
        if (difference := manifest.parity.get("max_abs_diff")) is not None:
            info.parity_max_abs_diff = difference
    return info


def _encode_tensor(spec: TensorSpec) -> pb.TensorInfo:
    return pb.TensorInfo(name=spec.name, dtype=spec.dtype, shape=spec.shape)


def _encode_time(iso: str) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(datetime.fromisoformat(iso))
    return time
