"""Errors: a domain error goes in, a gRPC status with google.rpc details comes out. This is the only such table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from audotics.server.errors import (
    AudoticsError,
    DeadlineError,
    InvalidRequestError,
    NotFoundError,
    NotReadyError,
    OverloadedError,
    RefusedChangeError,
    RefusedExperimentError,
    RefusedModelError,
    TooLargeError,
)
from audotics.server.runtime.model import UnavailableModelError, UnfinishedRunError
from audotics.server.storage.errors import StorageError

DOMAIN: Final = "audotics"
MAX_RESOURCES: Final = 20

# A status travels in HTTP/2 trailers, which clients may refuse from 8 KiB on, and non-ASCII text triples in them.
_MAX_MESSAGE_BYTES: Final = 512
_MAX_DETAILS_BYTES: Final = 4096

_TABLE: Final[tuple[tuple[type[AudoticsError], int, str], ...]] = (
    (InvalidRequestError, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST"),
    (NotFoundError, code_pb2.NOT_FOUND, "NOT_FOUND"),
    (OverloadedError, code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED"),
    (TooLargeError, code_pb2.RESOURCE_EXHAUSTED, "TOO_LARGE"),
    (DeadlineError, code_pb2.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    (NotReadyError, code_pb2.UNAVAILABLE, "NOT_READY"),
    (RefusedModelError, code_pb2.FAILED_PRECONDITION, "MODEL_REFUSED"),
    (UnavailableModelError, code_pb2.UNAVAILABLE, "MODEL_UNAVAILABLE"),
    (UnfinishedRunError, code_pb2.DEADLINE_EXCEEDED, "MODEL_UNFINISHED"),  # not UNAVAILABLE: it would be tried again
    (RefusedExperimentError, code_pb2.FAILED_PRECONDITION, "EXPERIMENT_REFUSED"),
    (RefusedChangeError, code_pb2.FAILED_PRECONDITION, "CHANGE_REFUSED"),
    (StorageError, code_pb2.UNAVAILABLE, "STORAGE_UNAVAILABLE"),
)


def status_of(error: AudoticsError) -> grpc.Status | None:
    """The status for a caller, or None for an error that no caller should see."""
    for kind, code, reason in _TABLE:
        if isinstance(error, kind):
            return _status(code, str(error), reason, _details(error))
    return None


def internal_status(error_id: str) -> grpc.Status:
    """The status of an unexpected error: all it says is the id under which the log holds the rest."""
    return _status(code_pb2.INTERNAL, f"internal error {error_id}", "INTERNAL", iter(()), error_id=error_id)


def _details(error: AudoticsError) -> Iterator[Message]:
    match error:
        case InvalidRequestError():
            for violation in error.violations:
                yield error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(
                            field=violation.field, description=violation.description
                        )
                    ]
                )
        case NotFoundError():
            why = error.hint if len(error.names) == 1 else ""
            for name in error.names[:MAX_RESOURCES]:
                yield error_details_pb2.ResourceInfo(
                    resource_type=error.resource_type, resource_name=name, description=why or "does not exist"
                )
        case OverloadedError():
            seconds = int(error.retry_after_s)
            nanos = int((error.retry_after_s - seconds) * 1e9)
            yield error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos))
            violation = error_details_pb2.QuotaFailure.Violation(subject="server", description=str(error))
            yield error_details_pb2.QuotaFailure(violations=[violation])


def _status(code: int, message: str, reason: str, details: Iterator[Message], **metadata: str) -> grpc.Status:
    status = status_pb2.Status(code=code, message=_shorten(message))
    _pack(status, error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata))
    bad_request = error_details_pb2.BadRequest()
    size = status.ByteSize()
    for detail in details:
        size += detail.ByteSize()
        if size > _MAX_DETAILS_BYTES:
            break
        if isinstance(detail, error_details_pb2.BadRequest):
            bad_request.MergeFrom(detail)
        else:
            _pack(status, detail)
    if bad_request.field_violations:
        _pack(status, bad_request)
    return rpc_status.to_status(status)


def _pack(status: status_pb2.Status, detail: Message) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def _shorten(message: str) -> str:
    encoded = message.encode()
    if len(encoded) <= _MAX_MESSAGE_BYTES:
        return message
    return encoded[: _MAX_MESSAGE_BYTES - 4].decode(errors="ignore") + " …"
