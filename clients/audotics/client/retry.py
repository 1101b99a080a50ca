"""When a failed call is tried again: an error goes in, a pause in seconds comes out, or the error is raised."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import Final

from audotics.client.errors import AudoticsError, DeadlineExceededError, ResourceExhaustedError, UnavailableError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter: after attempt n the pause is uniform in 0 .. b, where
    b = min(initial_backoff_s * multiplier^(n-1), max_backoff_s).

    `UnavailableError` is tried again, and `ResourceExhaustedError` where the server says when to come back. That
    delay is waited for in full, with the jitter on top. No attempt starts after the call's deadline.
    """

    max_attempts: int = 4
    initial_backoff_s: float = 0.1
    max_backoff_s: float = 2.0
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts must be 1 (no retries) or more, not {self.max_attempts}")
        if not 0 <= self.initial_backoff_s <= self.max_backoff_s < math.inf:
            raise ValueError(
                "back-off must satisfy 0 <= initial_backoff_s <= max_backoff_s < inf, "
                f"not {self.initial_backoff_s} and {self.max_backoff_s}"
            )
        if not 1 <= self.multiplier < math.inf:
            raise ValueError(f"multiplier must be 1 or more, not {self.multiplier}")


DEFAULT_RETRIES: Final = RetryPolicy()
NO_RETRIES: Final = RetryPolicy(max_attempts=1)


class Attempts:
    """The attempts of one call, against one deadline that starts now."""

    def __init__(self, policy: RetryPolicy, *, timeout_s: float) -> None:
        self._policy = policy
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._count = 0
        self._backoff_s = policy.initial_backoff_s

    def remaining_s(self) -> float:
        """Return the time left until the deadline, never below 0."""
        return max(0.0, self._deadline - time.monotonic())

    def pause_s(self, error: AudoticsError) -> float:
        """Return the pause before the next attempt, or raise `error` when there shall be none."""
        self._count += 1
        if isinstance(error, DeadlineExceededError):
            message = f"{error.message} (the call had {self._timeout_s:g} s)"
            raise DeadlineExceededError(message, error.code, error.details) from error.__cause__
        if self._count >= self._policy.max_attempts or not _is_retryable(error):
            raise error
        pause_s = (error.details.retry_after_s or 0.0) + random.uniform(0.0, self._backoff_s)
        self._backoff_s = min(self._backoff_s * self._policy.multiplier, self._policy.max_backoff_s)
        if pause_s >= self.remaining_s():
            raise error
        return pause_s


def _is_retryable(error: AudoticsError) -> bool:
    # Without a delay, RESOURCE_EXHAUSTED may also mean that a message is too large, which no retry mends.
    exhausted = isinstance(error, ResourceExhaustedError) and error.retry_after_s is not None
    return exhausted or isinstance(error, UnavailableError)
