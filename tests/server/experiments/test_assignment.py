"""Who is in which arm: sticky, uniform, independent between salts, by the shares, and growing moves nobody."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.server.experiments.assignment import arm_of, is_held_out, slot_of, uniform
from audotics.server.experiments.experiment import Arm, Experiment, Plan
from audotics.server.experiments.traffic import SLOTS, count, free, resized

USERS = [f"user-{number}" for number in range(20_000)]
KEYS = st.text(st.characters(codec="ascii"), min_size=1, max_size=40)
SHARES = st.lists(st.integers(1, 20), min_size=2, max_size=5)


def experiment(shares: list[float], salt: str) -> Experiment:
    arms = tuple(Arm(f"arm-{place}", share) for place, share in enumerate(shares))
    plan = Plan("x", arms, "arm-0", description="", layer="l", metric="engagement", window_s=1.0, smallest_lift=0.05)
    return Experiment(plan, salt, ((0, SLOTS),), created_at=0.0)


def chi_square(counts: list[int], expected: list[float]) -> float:
    return sum((found - wanted) ** 2 / wanted for found, wanted in zip(counts, expected, strict=True))


def bound(degrees: int) -> float:
    """Six standard deviations beyond the mean of chi-square: one in many thousands of examples comes near."""
    return degrees + 6 * math.sqrt(2 * degrees) + 15


@settings(deadline=None)
@given(key=KEYS, user_id=st.text(max_size=300))
def test_a_draw_is_in_its_range_and_always_the_same(key: str, user_id: str) -> None:
    assert 0.0 <= uniform(key, user_id) < 1.0
    assert uniform(key, user_id) == uniform(key, user_id)
    assert 0 <= slot_of(key, user_id) < SLOTS


@settings(deadline=None)
@given(key=KEYS)
def test_draws_are_uniform(key: str) -> None:
    counts = [0] * 20
    for user_id in USERS[:5000]:
        counts[int(20 * uniform(key, user_id))] += 1
    assert chi_square(counts, [250.0] * 20) < bound(19)


@settings(deadline=None)
@given(first=KEYS, second=KEYS)
def test_draws_with_different_salts_are_independent(first: str, second: str) -> None:
    if first == second:
        return
    counts = [0] * 16
    for user_id in USERS[:5000]:
        counts[4 * int(4 * uniform(first, user_id)) + int(4 * uniform(second, user_id))] += 1
    assert chi_square(counts, [5000 / 16] * 16) < bound(15)


@settings(deadline=None)
@given(parts=SHARES, salt=KEYS)
def test_arms_get_their_shares(parts: list[int], salt: str) -> None:
    shares = [part / sum(parts) for part in parts]
    tried = experiment(shares, salt)
    arms = [arm_of(tried, user_id).name for user_id in USERS[:3000]]
    counts = [arms.count(f"arm-{place}") for place in range(len(shares))]
    assert chi_square(counts, [3000 * share for share in shares]) < bound(len(shares) - 1)


def test_the_formula_stays_what_it_is() -> None:
    """Another value here would move listeners of running experiments to other arms."""
    assert uniform("salt", "user-1") == 0.2973818055366273
    assert slot_of("default", "user-1") == 1828
    assert arm_of(experiment([0.5, 0.5], "s"), "user-1").name == "arm-0"


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 4000), min_size=1, max_size=5), grown=st.integers(0, SLOTS))
def test_growing_keeps_what_there_is_and_takes_nothing_from_others(sizes: list[int], grown: int) -> None:
    held: list[tuple[tuple[int, int], ...]] = []
    for size in sizes:
        if (slots := resized((), size, taken=held)) is not None:
            held.append(slots)
    first, others = (held[0], held[1:]) if held else ((), [])
    after = resized(first, grown, taken=others)
    room = SLOTS - sum(map(count, others))
    if grown > room:
        assert after is None
        return
    assert after is not None
    assert count(after) == grown
    members, own = [{slot for span in slots for slot in range(*span)} for slots in (first, after)]
    assert members <= own or own <= members
    for slots in others:
        assert not own & {slot for span in slots for slot in range(*span)}
    assert count(free([after, *others])) == room - grown


def test_a_larger_holdout_holds_the_same_ones_out() -> None:
    small = {user_id for user_id in USERS if is_held_out(user_id, 0.05)}
    large = {user_id for user_id in USERS if is_held_out(user_id, 0.2)}
    assert small < large
    assert abs(len(large) - 4000) < 300
    assert not any(is_held_out(user_id, 0.0) for user_id in USERS)


def test_a_plan_comes_back_from_json() -> None:
    plan = experiment([0.25, 0.75], "s").plan
    assert Plan.from_json(plan.to_json()) == plan
    assert replace(plan, control="arm-1") != plan
