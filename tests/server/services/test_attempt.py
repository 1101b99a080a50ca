"""How an attempt at a list went: what counts as a failure, and what does not."""

from __future__ import annotations

import asyncio

import pytest

from audotics.server.errors import DeadlineError, InvalidRequestError
from audotics.server.runtime.model import InferenceError
from audotics.server.services.attempt import Attempt
from audotics.server.types import Degradation, DegradationReason


def test_an_answer_without_a_model_that_failed_is_a_failure_and_one_without_a_stranger_is_not() -> None:
    for reason, failed in ((DegradationReason.FAILED, True), (DegradationReason.UNKNOWN_USER, False)):
        with Attempt() as attempt:
            attempt.answered([Degradation("part", reason, "why")])
        assert attempt.failed is failed
        assert attempt.elapsed_s > 0


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (InferenceError("a model"), True),
        (ValueError("a mistake"), True),
        (DeadlineError("too late"), False),
        (InvalidRequestError([]), False),
        (asyncio.CancelledError(), False),
    ],
)
def test_errors_are_failures_unless_they_are_the_callers_or_the_loads(error: BaseException, failed: bool) -> None:
    attempt = Attempt()
    with pytest.raises(type(error)), attempt:
        raise error
    assert attempt.failed is failed
