"""One method of another server: a message goes out, an answer comes back, or the reason why none does.

A call has a time limit and some attempts; after failures in a row nobody calls for a while (`runtime/breaker.py`).

A caller with less time than the limit says nothing of the server by giving up: it may only be slow. So of the calls
after that one at a time goes on without its caller, up to the limit, and what becomes of it tells for all of them.
"""

from __future__ import annotations

import logging
import random
import threading
import time
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
        self.name = name
        self._address = address
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._breaker = breaker
        self._lock = threading.Lock()
        self._in_doubt = False
        """Whether the last that was heard of the server is nothing."""
        self._given_up = 0
        """Calls that were given up since then, and of which it is not known yet what that means."""
        self._going_on = False
        """Whether a call is under way that goes on when its caller gives up."""

    def call(self, method: Any, request: Any, *, deadline: float | None = None) -> Any:
        """The answer of `method`, a multi-callable of gRPC. Blocks until `deadline`, or for the time limit.

        Raises DeadlineError, InferenceError when the server refuses the request, or UnavailableModelError.
        """
        end = time.monotonic() + self._timeout_s
        ours = deadline is None or end < deadline
        end = end if deadline is None else min(end, deadline)
        for attempt in range(1, self._attempts + 1):
            if (wait_s := self._breaker.admit()) > 0:
                raise UnavailableModelError(
                    f"{self.name}: its server failed several times in a row; it is called again in {wait_s:.1f} s"
                )
            remaining_s = end - time.monotonic()
            if remaining_s <= 0:
                self._breaker.released()
                raise self._late(ours)
            try:
                if ours or not self._may_go_on():
                    answer = method(request, timeout=remaining_s)
                else:
                    answer = self._call_on(method, request, remaining_s)
            except grpc.FutureTimeoutError:
                raise self._late(ours) from None
            except grpc.FutureCancelledError:
                code = grpc.StatusCode.CANCELLED
            except grpc.RpcError as error:
                code = error.code()
            else:
                self._succeeded()
                return answer
            if code in _REFUSALS:
                self._succeeded()
                raise InferenceError(f"{self.name}: its server refused the inputs ({code.name})")
            if code is grpc.StatusCode.DEADLINE_EXCEEDED and not ours:
                self._gave_up()
                raise self._late(ours)
            self._failed(code)
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._late(ours)
            pause_s = _PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            if code not in _PASSING or attempt == self._attempts or time.monotonic() + pause_s >= end:
                break
            time.sleep(pause_s)
        raise UnavailableModelError(f"{self.name}: its server does not answer ({code.name})")

    def _may_go_on(self) -> bool:
        with self._lock:
            if self._going_on or not self._in_doubt:
                return False
            self._going_on = True
            return True

    def _call_on(self, method: Any, request: Any, remaining_s: float) -> Any:
        """As `method`, but with all of the time limit. Raises FutureTimeoutError when the caller has no more time."""
        call = method.future(request, timeout=self._timeout_s)
        try:
            answer = call.result(timeout=remaining_s)
        except grpc.FutureTimeoutError:
            with self._lock:
                self._given_up += 1
            call.add_done_callback(self._went_on)
            raise
        except BaseException:
            self._going_on = False
            raise
        self._going_on = False
        return answer

    def _went_on(self, call: Any) -> None:
        """Learn what became of a call whose caller has given up."""
        self._going_on = False
        code = call.code()
        if code is grpc.StatusCode.OK or code in _REFUSALS:
            self._succeeded()
        elif code is not grpc.StatusCode.CANCELLED:  # that is the end of this process
            self._failed(code)

    def _gave_up(self) -> None:
        """Note that a caller had too little time, which alone says nothing about the server."""
        with self._lock:
            self._given_up += 1
            self._in_doubt = True
            heard_soon = self._going_on
        if not heard_soon:
            self._breaker.released()

    def _late(self, ours: bool) -> Exception:
        if ours:
            return UnavailableModelError(f"{self.name}: its server gave no answer within {self._timeout_s:g} s")
        return DeadlineError(f"the deadline passed before the server of {self.name} answered")

    def _succeeded(self) -> None:
        with self._lock:
            self._in_doubt, self._given_up = False, 0
        if self._breaker.succeeded():
            _LOG.info("%s: %s answers again", self.name, self._address)

    def _failed(self, code: grpc.StatusCode) -> None:
        calls = 1
        with self._lock:
            self._in_doubt = True
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:  # nothing within the limit: those who gave up missed nothing
                calls, self._given_up = max(1, self._given_up), 0
        if self._breaker.failed(calls):
            _LOG.warning("%s: %s is left alone for a while (%s)", self.name, self._address, code.name)
