"""`ModelService` messages: names and versions go in, the states of models go back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from audotics.bundle.manifest import TensorSpec
from audotics.server.repository.status import ModelStatus, VersionStatus
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import model_service_pb2 as pb


def decode_name(request: pb.GetModelRequest) -> str:
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


def encode_model(status: ModelStatus) -> pb.Model:
    return pb.Model(
        name=status.name, kind=status.kind, versions=[_encode_version(version) for version in status.versions]
    )


def encode_models(statuses: Sequence[ModelStatus]) -> pb.ListModelsResponse:
    return pb.ListModelsResponse(models=[encode_model(status) for status in statuses])


def _encode_version(status: VersionStatus) -> pb.VersionInfo:
    info = pb.VersionInfo(
        version=status.version,
        state=pb.VersionState.Value(f"VERSION_STATE_{status.state.upper()}"),
        reason=status.reason,
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
