"""What can go wrong, in the words of the domain. Status codes stand in `transport/status.py` only.

AudoticsError
├── InvalidRequestError      fields of a request are wrong, each named by its path
├── NotFoundError            named tracks, models or versions do not exist
├── OverloadedError          a bounded queue is full; says when to try again
├── TooLargeError            the answer would be larger than a message may be
├── DeadlineError            the caller's time is up
├── NotReadyError            nothing can be served yet; says which command helps
├── RefusedModelError        a model version cannot be put in service or taken out of it
├── RefusedExperimentError   what is asked of an experiment cannot be done in its present state
└── RefusedChangeError       what is asked for does not go with how things stand; says how they do

Runtimes add InferenceError, UnavailableModelError and UnfinishedRunError (`runtime/model.py`), databases StorageError
(`storage/errors.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class AudoticsError(Exception):
    """Base of every expected error. The message is for the caller and holds nothing internal."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its path in the request (`filter.feature_ranges[0].feature`) and what to send instead."""

    field: str
    description: str


class InvalidRequestError(AudoticsError):
    """Fields of a request are wrong."""

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = tuple(violations)


class IdleSessionError(InvalidRequestError):
    """A session has nobody to make a list for. It will, as soon as somebody joins."""


class NotFoundError(AudoticsError):
    """Named resources do not exist. `resource_type` is "track", "model" or "model version"."""

    def __init__(self, resource_type: str, names: Sequence[str], *, hint: str = "") -> None:
        listed = ", ".join(repr(name) for name in names[:20]) + (" …" if len(names) > 20 else "")
        plural = "" if len(names) == 1 else "s"
        super().__init__(f"{resource_type}{plural} not found: {listed}" + (f"; {hint}" if hint else ""))
        self.resource_type = resource_type
        self.names = tuple(names)
        self.hint = hint

    def in_words(self, words: str) -> NotFoundError:
        """The same error in words that callers of another protocol know."""
        error = NotFoundError(self.resource_type, self.names, hint=self.hint)
        error.args = (words,)
        return error


class OverloadedError(AudoticsError):
    """A bounded queue is full."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooLargeError(AudoticsError):
    """The answer would be larger than a message may be; to try again does not help."""


class DeadlineError(AudoticsError):
    """The caller's deadline has passed, or leaves no time for the work."""


class NotReadyError(AudoticsError):
    """The server has nothing to serve from."""


class RefusedModelError(AudoticsError):
    """A model version cannot be put in service or taken out of it."""


class RefusedExperimentError(AudoticsError):
    """What is asked of an experiment cannot be done in its present state."""


class RefusedChangeError(AudoticsError):
    """What is asked for does not go with how things stand."""
