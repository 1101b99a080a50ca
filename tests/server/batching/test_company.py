"""How many jobs are waited for: learnt from what came, whoever the callers are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.server.batching.company import PATIENCE_S, Company

MOST = 8


def closed_loop(company: Company, callers: int, *, away_s: float, runs: int) -> list[tuple[int, bool]]:
    """Runs of `callers` who ask again `away_s` after each answer: their jobs, and whether some waited in vain."""
    now, seen = 1.0, []
    for _ in range(runs):
        now += away_s
        company.begins(now)
        jobs = min(company.expected, callers)
        in_vain = jobs < company.expected
        now += PATIENCE_S if in_vain else 0.0
        company.ran(jobs, now=now)
        seen.append((jobs, in_vain))
    return seen


def test_a_lone_caller_who_takes_a_while_never_waits() -> None:
    seen = closed_loop(Company(MOST), 1, away_s=2 * PATIENCE_S, runs=10_000)
    assert not any(in_vain for _, in_vain in seen)


def test_a_lone_quick_caller_hardly_ever_waits() -> None:
    seen = closed_loop(Company(MOST), 1, away_s=PATIENCE_S / 4, runs=10_000)
    assert 0 < sum(in_vain for _, in_vain in seen) < 20


def test_callers_who_ask_again_and_again_run_together() -> None:
    seen = closed_loop(Company(MOST), 5, away_s=PATIENCE_S / 2, runs=1_000)
    jobs = [jobs for jobs, _ in seen]
    assert jobs[0] == 1
    assert jobs[10:] == [5] * 990


@pytest.mark.parametrize("callers", range(2, MOST))
def test_callers_who_are_as_many_as_ever_hardly_ever_wait_for_more(callers: int) -> None:
    seen = closed_loop(Company(MOST), callers, away_s=PATIENCE_S / 2, runs=2_000)
    assert all(jobs == callers for jobs, _ in seen[100:])
    assert sum(in_vain for _, in_vain in seen[100:]) < 40


@pytest.mark.parametrize("more", [3, 5, MOST])
def test_callers_who_join_are_waited_for_soon(more: int) -> None:
    company = Company(MOST)
    closed_loop(company, 2, away_s=PATIENCE_S / 2, runs=5_000)
    seen = closed_loop(company, more, away_s=PATIENCE_S / 2, runs=200)
    assert seen[-1][0] == more


def test_no_run_has_more_than_the_most() -> None:
    seen = closed_loop(Company(MOST), 100, away_s=PATIENCE_S / 2, runs=1_000)
    assert [jobs for jobs, _ in seen[MOST:]] == [MOST] * (1_000 - MOST)


def test_callers_who_leave_are_waited_for_no_longer() -> None:
    company = Company(MOST)
    closed_loop(company, 8, away_s=PATIENCE_S / 2, runs=50)
    seen = closed_loop(company, 1, away_s=2 * PATIENCE_S, runs=100)
    assert sum(in_vain for _, in_vain in seen) <= 4


def test_company_is_found_again_after_a_lone_caller_however_long_that_was() -> None:
    company = Company(MOST)
    closed_loop(company, 1, away_s=PATIENCE_S / 4, runs=100_000)
    seen = closed_loop(company, 5, away_s=PATIENCE_S / 4, runs=2_000)
    assert seen[-1][0] == 5


def test_those_who_were_answered_together_take_longer_to_come_back() -> None:
    company = Company(MOST)
    closed_loop(company, 4, away_s=PATIENCE_S / 2, runs=50)
    seen = closed_loop(company, MOST, away_s=3 * PATIENCE_S, runs=200)
    assert seen[-1][0] == MOST


def test_one_run_with_few_does_not_end_what_was_expected() -> None:
    company = Company(MOST)
    closed_loop(company, MOST, away_s=PATIENCE_S / 2, runs=50)
    company.ran(2, now=1e6)
    assert company.expected == 5


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.9, 1.1, 30.0]), st.integers(1, MOST)), max_size=300), st.integers(1, 8)
)
def test_what_is_expected_stays_between_one_and_the_most(steps: list[tuple[float, int]], most: int) -> None:
    company, now = Company(most), 1.0
    for pauses, jobs in steps:
        now += pauses * PATIENCE_S
        company.begins(now)
        assert 1 <= company.expected <= most
        company.ran(min(jobs, company.expected), now=now)
        assert 1 <= company.expected <= most
