"""Errors as callers see them: code, message and google.rpc details."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from audotics.server.errors import (
    AudoticsError,
    DeadlineError,
    FieldViolation,
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
from audotics.server.transport.status import internal_status, status_of

TRAILER_LIMIT_BYTES = 8192


def rich(error: AudoticsError) -> status_pb2.Status:
    status = status_of(error)
    assert status is not None
    ((_, packed),) = status.trailing_metadata
    return status_pb2.Status.FromString(packed)


def details(status: status_pb2.Status, kind: type[Message]) -> list[Any]:
    found = []
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    return found


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (InvalidRequestError([FieldViolation("limit", "is 0")]), StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (NotFoundError("track", ["t"]), StatusCode.NOT_FOUND, "NOT_FOUND"),
        (OverloadedError("full", retry_after_s=1.0), StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
        (TooLargeError("the answer would have 9 bytes"), StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE"),
        (DeadlineError("late"), StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (NotReadyError("empty"), StatusCode.UNAVAILABLE, "NOT_READY"),
        (RefusedModelError("altered"), StatusCode.FAILED_PRECONDITION, "MODEL_REFUSED"),
        (StorageError("full disk"), StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"),
        (UnavailableModelError("ncf/1: no answer"), StatusCode.UNAVAILABLE, "MODEL_UNAVAILABLE"),
        (UnfinishedRunError("ncf/1: ended"), StatusCode.DEADLINE_EXCEEDED, "MODEL_UNFINISHED"),
        (RefusedExperimentError("it has ended"), StatusCode.FAILED_PRECONDITION, "EXPERIMENT_REFUSED"),
        (RefusedChangeError("it has ended"), StatusCode.FAILED_PRECONDITION, "CHANGE_REFUSED"),
    ],
)
def test_every_domain_error_has_a_code_and_a_reason(error: AudoticsError, code: StatusCode, reason: str) -> None:
    status = status_of(error)
    assert status is not None
    assert (status.code, status.details) == (code, str(error))
    (info,) = details(rich(error), error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == (reason, "audotics")


def test_an_error_outside_the_table_is_nobodys_business() -> None:
    assert status_of(AudoticsError("the path of a file")) is None


def test_wrong_fields_are_listed() -> None:
    error = InvalidRequestError([FieldViolation("limit", "is 0"), FieldViolation("subject", "is not set")])
    (bad,) = details(rich(error), error_details_pb2.BadRequest)
    assert [(item.field, item.description) for item in bad.field_violations] == [
        ("limit", "is 0"),
        ("subject", "is not set"),
    ]


def test_missing_resources_are_named_up_to_twenty() -> None:
    infos = details(rich(NotFoundError("track", [f"t{n}" for n in range(30)])), error_details_pb2.ResourceInfo)
    assert [(info.resource_type, info.resource_name) for info in infos] == [("track", f"t{n}") for n in range(20)]


def test_a_single_missing_resource_says_what_may_help() -> None:
    described = [
        details(rich(NotFoundError("model", names, hint="load it")), error_details_pb2.ResourceInfo)[0].description
        for names in (["a"], ["a", "b"])
    ]
    assert described == ["load it", "does not exist"]


def test_a_full_queue_says_when_to_come_back() -> None:
    status = rich(OverloadedError("the scoring queue is full", retry_after_s=1.25))
    (retry,) = details(status, error_details_pb2.RetryInfo)
    (quota,) = details(status, error_details_pb2.QuotaFailure)
    assert retry.retry_delay.ToMilliseconds() == 1250
    assert quota.violations[0].description == "the scoring queue is full"


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("track", ["ü" * 256 + str(n) for n in range(1000)]),
        InvalidRequestError([FieldViolation(f"tracks[{n}].audio_features.energy", "😀" * 50) for n in range(1000)]),
        RefusedModelError("é" * 10_000),
    ],
)
def test_large_errors_fit_into_trailers(error: AudoticsError) -> None:
    status = status_of(error)
    assert status is not None
    ((_, packed),) = status.trailing_metadata
    on_the_wire = len(packed) * 4 // 3 + len(status.details.encode()) * 3
    assert on_the_wire < TRAILER_LIMIT_BYTES
    assert len(rich(error).details) >= 1


def test_an_internal_error_says_nothing_but_its_id() -> None:
    status = internal_status("abc")
    assert (status.code, status.details) == (StatusCode.INTERNAL, "internal error abc")
    ((_, packed),) = status.trailing_metadata
    (info,) = details(status_pb2.Status.FromString(packed), error_details_pb2.ErrorInfo)
    assert (info.reason, dict(info.metadata)) == ("INTERNAL", {"error_id": "abc"})
