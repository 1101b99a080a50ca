"""Reports of the Open Inference Protocol: signatures, statistics and repository states go in, messages come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from audotics.server.errors import FieldViolation, InvalidRequestError
from audotics.server.repository.status import ModelStatus, VersionState
from audotics.server.services.signature import DATATYPES, Signature
from audotics.server.services.statistics import Total, VersionStatistics
from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.v2.parameters import DEFAULT_LEVEL, PRIORITY_LEVELS

_BACKENDS: Final = {"onnxruntime_onnx": "onnxruntime", "tensorflow_savedmodel": "tensorflow"}
_FILES: Final = {"onnxruntime_onnx": "model.onnx", "tensorflow_savedmodel": "model.savedmodel"}
_KINDS: Final = {"cuda": "KIND_GPU", "cpu": "KIND_CPU"}

CALLABLE: Final = (VersionState.IN_SERVICE, VersionState.LOADED)
"""States of versions that answer when they are named."""


def encode_metadata(signature: Signature, versions: Sequence[int]) -> Any:
    def tensors(specs: Any) -> list[Any]:
        kind = pb.ModelMetadataResponse.TensorMetadata
        return [kind(name=spec.name, datatype=DATATYPES[spec.dtype], shape=spec.shape) for spec in specs]

    return pb.ModelMetadataResponse(
        name=signature.name,
        versions=[str(version) for version in versions],
        platform=signature.platform,
        inputs=tensors(signature.inputs.values()),
        outputs=tensors(signature.outputs.values()),
    )


def encode_config(signature: Signature, versions: Sequence[int], *, instances: int) -> Any:
    """`instances` is how many runs may happen at once."""

    def tensors(kind: Any, specs: Any) -> list[Any]:
        return [kind(name=spec.name, data_type=_data_type(spec.dtype), dims=spec.shape) for spec in specs]

    config = pb.ModelConfig(
        name=signature.name,
        platform=signature.platform,
        backend=_BACKENDS.get(signature.platform, signature.platform),
        version_policy=pb.ModelVersionPolicy(specific=pb.ModelVersionPolicy.Specific(versions=versions)),
        max_batch_size=0,
        input=tensors(pb.ModelInput, signature.inputs.values()),
        output=tensors(pb.ModelOutput, signature.outputs.values()),
        instance_group=[_instances(signature, instances)],
        default_model_filename=_FILES.get(signature.platform, ""),
    )
    if signature.plan is not None:
        config.dynamic_batching.priority_levels = PRIORITY_LEVELS
        config.dynamic_batching.default_priority_level = DEFAULT_LEVEL
    return pb.ModelConfigResponse(config=config)


def encode_statistics(entries: Sequence[tuple[str, int, VersionStatistics]]) -> Any:
    return pb.ModelStatisticsResponse(
        model_stats=[
            pb.ModelStatistics(
                name=name,
                version=str(version),
                last_inference=entry.last_ms,
                inference_count=entry.success.count,
                execution_count=entry.executions,
                inference_stats=pb.InferStatistics(
                    success=_duration(entry.success),
                    fail=_duration(entry.failure),
                    queue=_duration(entry.queue),
                    compute_input=_duration(Total(entry.success.count)),
                    compute_infer=_duration(entry.compute),
                    compute_output=_duration(Total(entry.success.count)),
                ),
            )
            for name, version, entry in entries
        ]
    )


def encode_index(models: Sequence[ModelStatus], *, ready: bool) -> Any:
    """`ready` leaves out what is not in service."""
    index = pb.RepositoryIndexResponse()
    for model in models:
        for version in reversed(model.versions):
            serves = version.state in CALLABLE
            if serves or not ready:
                index.models.add(
                    name=model.name,
                    version=str(version.version),
                    state="READY" if serves else "UNAVAILABLE",
                    reason=version.reason,
                )
    return index


def check_repository(request: Any) -> None:
    """There is one repository. Raises InvalidRequestError for a request that names another."""
    if request.repository_name:
        raise InvalidRequestError(
            [FieldViolation("repository_name", "'repository_name' specification is not supported; leave it empty")]
        )


def load_version(request: Any) -> int | None:
    """The version that the parameters of a RepositoryModelLoadRequest name. Raises InvalidRequestError."""
    check_repository(request)
    for key, value in request.parameters.items():
        if key != "version":
            raise InvalidRequestError(
                [FieldViolation(f"parameters[{key}]", "is not supported; models are loaded as they were exported")]
            )
        if value.WhichOneof("parameter_choice") != "int64_param" or value.int64_param < 1:
            raise InvalidRequestError([FieldViolation("parameters[version]", "is no version; send int64_param from 1")])
        return int(value.int64_param)
    return None


def _instances(signature: Signature, count: int) -> Any:
    kind, _, number = signature.device.partition(":")
    group = pb.ModelInstanceGroup(name=signature.name, count=count, kind=_KINDS.get(kind, "KIND_MODEL"))
    group.gpus.extend([int(number)] if number else [])
    return group


def _data_type(dtype: str) -> Any:
    datatype = DATATYPES[dtype]
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"


def _duration(total: Total) -> Any:
    return pb.StatisticDuration(count=total.count, ns=total.ns)
