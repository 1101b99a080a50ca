"""One method of another server: a message goes out, an answer comes back, or the reason why none does.

A call has a time limit and some attempts; after failures in a row nobody calls for a while (`runtime/breaker.py`).
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

import grpc

from audotics.server.errors import DeadlineError
from audotics.server.runtime.breaker import CircuitBreaker
from audotics.server.runtime.model import InferenceError, UnavailableModelError

_LOG: Final = logging.getLogger(__name__)
_REFUSALS: Final = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)
"""What servers answer to inputs that a model fails on. They are there, so the breaker does not count it."""

_PASSING: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED)
"""What another attempt may mend."""

_PAUSE_S: Final = 0.02


class RemoteCalls:
    """Calls of one model on another server. Safe to use from several threads at once."""

    def __init__(self, name: str, *, address: str, timeout_s: float, attempts: int, breaker: CircuitBreaker) -> None:
        """`name` is the model's and stands in errors; callers see these, so `address` stands in the log alone.

        All attempts of a call together may take `timeout_s`.
        """
        self._name = name
        self._address = address
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._breaker = breaker

    def call(self, method: Callable[..., Any], request: Any, *, deadline: float | None = None) -> Any:
        """The answer of `method`, a multi-callable of gRPC. Blocks until `deadline`, or for the time limit.

        Raises DeadlineError, InferenceError when the server refuses the request, or UnavailableModelError.
        """
        end = time.monotonic() + self._timeout_s
        ours = deadline is None or end < deadline
        end = end if deadline is None else min(end, deadline)
        for attempt in range(1, self._attempts + 1):
            if (wait_s := self._breaker.admit()) > 0:
                raise UnavailableModelError(
                    f"{self._name}: its server failed several times in a row; it is called again in {wait_s:.1f} s"
                )
            remaining_s = end - time.monotonic()
            if remaining_s <= 0:
                self._breaker.released()
                raise self._late(ours)
            try:
                answer = method(request, timeout=remaining_s)
            except grpc.RpcError as error:
                code = error.code()
            else:
                self._succeeded()
                return answer
            if code in _REFUSALS:
                self._succeeded()
                raise InferenceError(f"{self._name}: its server refused the inputs ({code.name})")
            if code is grpc.StatusCode.DEADLINE_EXCEEDED and not ours:
                self._breaker.released()  # the caller had little time, which says nothing about the server
                raise self._late(ours)
            self._failed(code)
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._late(ours)
            pause_s = _PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            if code not in _PASSING or attempt == self._attempts or time.monotonic() + pause_s >= end:
                break
            time.sleep(pause_s)
        raise UnavailableModelError(f"{self._name}: its server does not answer ({code.name})")

    def _late(self, ours: bool) -> Exception:
        if ours:
            return UnavailableModelError(f"{self._name}: its server gave no answer within {self._timeout_s:g} s")
        return DeadlineError(f"the deadline passed before the server of {self._name} answered")

    def _succeeded(self) -> None:
        if self._breaker.succeeded():
            _LOG.info("%s: %s answers again", self._name, self._address)

    def _failed(self, code: grpc.StatusCode) -> None:
        if self._breaker.failed():
            _LOG.warning("%s: %s is left alone for a while (%s)", self._name, self._address, code.name)
