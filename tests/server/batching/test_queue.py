"""The queue and the window of the batcher, by their promises: turns, bounds, and waits that follow the load."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.server.batching.queue import Entry, RowQueue
from audotics.server.batching.window import AdaptiveWindow
from audotics.server.types import Caller, Priority

Item = tuple[int, Priority, str, float]


@pytest.fixture(scope="module")
def loop():
    with asyncio.Runner() as runner:
        yield runner.get_loop()


def items(*, max_size: int = 30) -> st.SearchStrategy[list[Item]]:
    item = st.tuples(
        st.integers(1, 9),
        st.sampled_from(Priority),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([math.inf, 1e12, 2e12]),
    )
    return st.lists(item, max_size=max_size)


def entry(loop, rows, priority=Priority.NORMAL, tenant="a", deadline=math.inf, arrived=None, key="k") -> Entry:
    arrived = time.monotonic() if arrived is None else arrived
    return Entry(None, rows, key, deadline, arrived, Caller(tenant, priority), loop.create_future())


@given(items(), st.integers(9, 20))
def test_everything_comes_out_once_in_order_of_class_and_deadline(loop, items, limit_rows):
    queue = RowQueue(limit_rows=10_000)
    entries = [entry(loop, *item) for item in items]
    for each in entries:
        queue.put([each])
    taken = []
    while queue:
        batch = queue.take(limit_rows)
        assert 0 < sum(each.rows for each in batch) <= limit_rows
        taken += batch
    assert queue.rows == 0
    assert Counter(map(id, taken)) == Counter(map(id, entries))
    assert [each.caller.priority for each in taken] == sorted(each.caller.priority for each in taken)
    for tenant in "abc":
        for priority in Priority:
            deadlines = [
                each.deadline for each in taken if (each.caller.tenant, each.caller.priority) == (tenant, priority)
            ]
            assert deadlines == sorted(deadlines)


@given(st.lists(st.integers(1, 9), min_size=10, max_size=30), st.lists(st.integers(1, 9), min_size=10, max_size=30))
@settings(max_examples=50)
def test_tenants_that_both_wait_get_the_same(loop, loud, quiet):
    queue = RowQueue(limit_rows=10_000)
    for rows in loud:
        queue.put([entry(loop, rows, tenant="loud")])
    for rows in quiet:
        queue.put([entry(loop, rows, tenant="quiet")])
    left = Counter(loud=len(loud), quiet=len(quiet))
    got: Counter[str] = Counter()
    while min(left.values()) > 0:
        for each in queue.take(9):
            left[each.caller.tenant] -= 1
            got[each.caller.tenant] += each.rows
        if min(left.values()) > 0:
            assert abs(got["loud"] - got["quiet"]) <= 18  # a job of the one that is ahead, and what did not fit


def rows_by_tenant(entries: list[Entry]) -> Counter[str]:
    got: Counter[str] = Counter()
    for each in entries:
        got[each.caller.tenant] += each.rows
    return got


def test_a_tenant_that_comes_later_is_not_paid_for_its_absence(loop):
    queue = RowQueue(limit_rows=1000)
    queue.put([entry(loop, 1, tenant="a") for _ in range(100)])
    queue.take(50)
    queue.put([entry(loop, 1, tenant="b") for _ in range(100)])
    assert rows_by_tenant(queue.take(20)) == Counter(a=10, b=10)


def test_a_tenant_that_comes_later_does_not_pay_for_what_others_got(loop):
    queue = RowQueue(limit_rows=1000)
    queue.put([entry(loop, 1, Priority.HIGH, tenant="a") for _ in range(50)])
    queue.put([entry(loop, 1, tenant=tenant) for tenant in "ab" for _ in range(50)])
    queue.take(50)  # of a alone, as its class is higher
    queue.put([entry(loop, 1, tenant="c") for _ in range(50)])
    assert rows_by_tenant(queue.take(20)) == Counter(b=10, c=10)


def test_turns_go_by_rows_and_not_by_jobs(loop):
    queue = RowQueue(limit_rows=1000)
    queue.put([entry(loop, 5, tenant="a") for _ in range(10)])
    queue.put([entry(loop, 1, tenant="b") for _ in range(50)])
    assert rows_by_tenant(queue.take(20)) == Counter(a=10, b=10)


def test_what_a_tenant_gives_up_counts_no_more_towards_its_share(loop):
    queue = RowQueue(limit_rows=12)
    own, loud = entry(loop, 4, Priority.LOW, tenant="x"), [entry(loop, 4, tenant="y") for _ in range(2)]
    queue.put([own, *loud])
    assert queue.admit(6, Caller("x", Priority.NORMAL)) == [own, loud[1]]
    assert queue.rows == 4


def test_no_tenant_gives_up_more_than_what_exceeds_its_share(loop):
    queue = RowQueue(limit_rows=12)
    one, other = entry(loop, 6, tenant="z"), [entry(loop, rows, tenant="y") for rows in (4, 1, 1)]
    queue.put([one, *other])
    assert queue.admit(4, Caller("x", Priority.NORMAL)) == [other[2], other[1], one]


def test_the_oldest_is_the_one_that_came_first(loop):
    queue = RowQueue(limit_rows=100)
    queue.put([entry(loop, 1, arrived=2.0), entry(loop, 1, arrived=1.0), entry(loop, 1, arrived=3.0)])
    assert queue.oldest == 1.0


@given(items(max_size=20), items(max_size=20))
@settings(max_examples=50)
def test_a_full_queue_never_holds_more_than_it_may(loop, waiting, arriving):
    queue = RowQueue(limit_rows=40)
    held: list[Entry] = []
    for rows, priority, tenant, deadline in [*waiting, *arriving]:
        displaced = queue.admit(rows, Caller(tenant, priority))
        if displaced is None:
            assert sum(each.rows for each in held if each.caller.priority > priority) < queue.rows + rows - 40
            continue
        assert all(each.caller.priority > priority or each.caller.tenant != tenant for each in displaced)
        held = [each for each in held if each not in displaced]
        held.append(entry(loop, rows, priority, tenant, deadline))
        queue.put(held[-1:])
        assert queue.rows == sum(each.rows for each in held) <= 40


def test_what_has_waited_for_long_goes_before_every_class(loop):
    queue = RowQueue(limit_rows=100)
    fresh, old = entry(loop, 1, Priority.HIGH), entry(loop, 1, Priority.LOW, arrived=time.monotonic() - 10)
    queue.put([fresh, old])
    assert queue.take(1) == [old]


def test_what_nobody_waits_for_is_dropped(loop):
    queue = RowQueue(limit_rows=100)
    past, cancelled, kept = entry(loop, 3, deadline=0.0), entry(loop, 3), entry(loop, 3)
    queue.put([past, cancelled, kept])
    cancelled.future.cancel()
    assert queue.take(100) == [kept]
    assert (queue.rows, bool(queue)) == (0, False)


def test_jobs_of_other_keys_wait_for_another_batch(loop):
    queue = RowQueue(limit_rows=100)
    first, other, third = entry(loop, 1), entry(loop, 1, key="other"), entry(loop, 1)
    queue.put([first, other, third])
    assert queue.take(100) == [first, third]
    assert queue.take(100) == [other]


def test_the_window_follows_the_load():
    window = AdaptiveWindow(0.002)
    assert window.wait_s(1000) == 0.0  # nothing is known to come
    for number in range(200):
        window.arrived(100, now=number * 0.0001)
    assert window.wait_s(500) == pytest.approx(0.0005, rel=0.01)  # five more of them
    assert window.wait_s(100_000) == 0.002
    assert window.wait_s(0) == 0.0
    window.arrived(100, now=0.5)  # one pause is not the end of it
    assert 0 < window.wait_s(500) <= 0.002
    for number in range(20):
        window.arrived(100, now=1.0 + number)
    assert window.wait_s(500) == 0.0
