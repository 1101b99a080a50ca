"""A failed gRPC call goes in, the typed exception with its decoded details comes out."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from audotics.client import errors

DETAILS_KEY: Final = "grpc-status-details-bin"

_ERRORS: Final = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgumentError,
        grpc.StatusCode.OUT_OF_RANGE: errors.InvalidArgumentError,
        grpc.StatusCode.NOT_FOUND: errors.NotFoundError,
        grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPreconditionError,
        grpc.StatusCode.UNAUTHENTICATED: errors.UnauthenticatedError,
        grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDeniedError,
        grpc.StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhaustedError,
        grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceededError,
        grpc.StatusCode.UNAVAILABLE: errors.UnavailableError,
        grpc.StatusCode.CANCELLED: errors.CallCancelledError,
        grpc.StatusCode.UNIMPLEMENTED: errors.UnimplementedError,
        grpc.StatusCode.INTERNAL: errors.InternalError,
        grpc.StatusCode.DATA_LOSS: errors.InternalError,
    }
)


def error_of(failure: grpc.RpcError) -> errors.AudoticsError:
    """Decode what grpc or grpc.aio raised."""
    code = failure.code()
    message = failure.details() or code.name.lower().replace("_", " ")
    kind = _ERRORS.get(code, errors.UnknownError)
    return kind(message, code, _details(failure.trailing_metadata() or ()))


def _details(trailing_metadata: Iterable[tuple[str, str | bytes]]) -> errors.ErrorDetails:
    """Decode the first details entry. Details that cannot be read are dropped: the status itself must still arrive."""
    packed = next((value for key, value in trailing_metadata if key == DETAILS_KEY), b"")
    try:
        return _unpack(status_pb2.Status.FromString(packed).details)
    except DecodeError:
        return errors.ErrorDetails()


def _unpack(details: Iterable[AnyMessage]) -> errors.ErrorDetails:
    violations: list[errors.FieldViolation] = []
    quota: list[errors.QuotaViolation] = []
    resources: list[errors.Resource] = []
    retry_after_s: float | None = None
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    quota_failure = error_details_pb2.QuotaFailure()
    resource = error_details_pb2.ResourceInfo()
    retry = error_details_pb2.RetryInfo()
    for detail in details:
        if detail.Unpack(bad_request):
            violations += (errors.FieldViolation(v.field, v.description) for v in bad_request.field_violations)
        elif detail.Unpack(quota_failure):
            quota += (errors.QuotaViolation(v.subject, v.description) for v in quota_failure.violations)
        elif detail.Unpack(resource):
            resources.append(errors.Resource(resource.resource_type, resource.resource_name, resource.description))
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
        else:
            detail.Unpack(info)
    return errors.ErrorDetails(
        violations=tuple(violations),
        quota=tuple(quota),
        resources=tuple(resources),
        retry_after_s=retry_after_s,
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
    )
