"""What a call can raise. Mistakes seen before a call is made are ValueError or TypeError and stand outside this tree.

AudoticsError
├── InvalidArgumentError       fields of the request are wrong; `violations` names each
├── NotFoundError              named tracks, models or versions do not exist; `resource_names` lists them
├── FailedPreconditionError    the server's state forbids it; the message says what to do first
├── UnauthenticatedError       no credentials, or wrong ones
├── PermissionDeniedError      the credentials do not allow it
├── ResourceExhaustedError     a limit is reached; `retry_after_s` says when to come back
├── DeadlineExceededError      no answer came within the deadline
├── UnavailableError           no server could be reached, or it is going down
├── CallCancelledError         the server or an interceptor ended the call
├── UnimplementedError         the server does not have this method
├── InternalError              the server failed, or what it sent cannot be read
└── UnknownError               any other status
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its path in the request (`filter.feature_ranges[0].feature`) and what to send instead."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """One limit that is reached: whose it is, and which."""

    subject: str
    description: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource an error is about."""

    type: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """The google.rpc details of a status. What the server did not send is empty or None."""

    violations: tuple[FieldViolation, ...] = ()
    quota: tuple[QuotaViolation, ...] = ()
    resources: tuple[Resource, ...] = ()
    retry_after_s: float | None = None
    reason: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class AudoticsError(Exception):
    """Base of everything a call can raise. `code` is the gRPC status, `message` the server's text."""

    def __init__(self, message: str, code: grpc.StatusCode, details: ErrorDetails | None = None) -> None:
        details = details if details is not None else ErrorDetails()
        super().__init__(message, code, details)  # all of them, so that the error can be pickled
        self.message = message
        self.code = code
        self.details = details

    def __str__(self) -> str:
        return self.message


class InvalidArgumentError(AudoticsError):
    """Fields of the request are wrong."""

    @property
    def violations(self) -> tuple[FieldViolation, ...]:
        return self.details.violations


class NotFoundError(AudoticsError):
    """Named resources do not exist."""

    @property
    def resource_type(self) -> str:
        """For example "track" or "model"; empty when the server did not say."""
        return self.details.resources[0].type if self.details.resources else ""

    @property
    def resource_names(self) -> tuple[str, ...]:
        return tuple(resource.name for resource in self.details.resources)


class FailedPreconditionError(AudoticsError):
    """The server's state forbids the call."""


class UnauthenticatedError(AudoticsError):
    """The call came without credentials, or with wrong ones."""


class PermissionDeniedError(AudoticsError):
    """The credentials do not allow the call."""


class ResourceExhaustedError(AudoticsError):
    """A limit is reached."""

    @property
    def retry_after_s(self) -> float | None:
        """When to come back, None when the server did not say."""
        return self.details.retry_after_s

    @property
    def quota(self) -> tuple[QuotaViolation, ...]:
        return self.details.quota


class DeadlineExceededError(AudoticsError):
    """No answer came within the deadline."""


class UnavailableError(AudoticsError):
    """No server could be reached, or it is going down."""


class CallCancelledError(AudoticsError):
    """The server or an interceptor ended the call."""


class UnimplementedError(AudoticsError):
    """The server does not have this method."""


class InternalError(AudoticsError):
    """The server failed, or what it sent cannot be read."""


class UnknownError(AudoticsError):
    """Any other status."""
