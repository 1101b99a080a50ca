"""The circuit breaker, on a clock that stands still."""

from __future__ import annotations

from audotics.server.runtime.breaker import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = CircuitBreaker(failures=3, clock=Clock())
    for _ in range(4):
        assert not breaker.failed()
        assert not breaker.failed()
        assert not breaker.succeeded()
    assert not breaker.failed()
    assert not breaker.failed()
    assert breaker.failed()
    assert breaker.open
    assert breaker.admit() == 0.5


def test_one_call_tries_after_the_pause_and_pauses_grow() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=1, clock=clock)
    breaker.failed()
    for pause_s in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        clock.now += pause_s - 0.125
        assert breaker.admit() == 0.125
        assert breaker.open
        clock.now += 0.125
        assert not breaker.open
        assert breaker.admit() == 0
        assert breaker.open
        assert breaker.admit() > 0  # the others wait for what becomes of it
        assert not breaker.failed()
    clock.now += 30
    assert breaker.admit() == 0
    assert breaker.succeeded()
    assert not breaker.open
    assert [breaker.admit() for _ in range(3)] == [0, 0, 0]
    breaker.failed()
    assert breaker.admit() == 0.5


def test_a_call_that_was_given_up_lets_the_next_one_try() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=1, clock=clock)
    breaker.failed()
    clock.now += 0.5
    assert breaker.admit() == 0
    breaker.released()
    assert breaker.admit() == 0
    assert breaker.admit() > 0


def test_a_call_that_was_given_up_says_nothing_of_a_server_that_answers() -> None:
    breaker = CircuitBreaker(clock=Clock())
    breaker.released()
    assert [breaker.admit() for _ in range(2)] == [0, 0]


def test_all_who_shared_a_call_count() -> None:
    breaker = CircuitBreaker(failures=3, clock=Clock())
    assert not breaker.failed(2)
    assert breaker.failed(2)
