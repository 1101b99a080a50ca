"""What events say of a listener, in whatever order they arrive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audotics.features.listener_state import ListenerState
from audotics.server.types import Event


def event(track_id: str, kind: str, at: float, rating: float | None = None) -> Event:
    return Event(f"{track_id}-{kind}-{at}", "u", track_id, kind, at, rating=rating)


def test_a_stranger_is_not_known() -> None:
    state = ListenerState()
    assert (state.known, state.liked, state.seen, state.judged) == (False, [], [], [])


def test_an_impression_makes_known_and_says_nothing_else() -> None:
    state = ListenerState([event("a", "impression", 1.0)])
    assert (state.known, state.liked, state.seen, state.judged) == (True, [], [], [])


def test_liked_tracks_come_oldest_first_and_once() -> None:
    state = ListenerState(
        [event("b", "play", 2.0), event("a", "like", 1.0), event("b", "save", 3.0), event("c", "play", 2.5)]
    )
    assert state.liked == ["a", "c", "b"]


def test_a_skip_is_seen_and_leaves_the_taste_alone() -> None:
    state = ListenerState([event("a", "play", 1.0), event("a", "skip", 2.0), event("b", "skip", 3.0)])
    assert state.liked == ["a"]
    assert set(state.seen) == {"a", "b"}


def test_a_dislike_takes_out_until_the_next_like() -> None:
    state = ListenerState([event("a", "like", 1.0), event("a", "dislike", 2.0)])
    assert (state.liked, state.judged, state.seen) == ([], ["a"], ["a"])
    state.apply(event("a", "play", 3.0))
    assert state.liked == ["a"]


def test_ratings_judge_both_ways() -> None:
    state = ListenerState([event("a", "rating", 1.0, 5.0), event("b", "rating", 1.0, 1.0), event("c", "play", 0.5)])
    assert state.liked == ["c", "a"]
    assert set(state.judged) == {"a", "b", "c"}


def test_an_event_that_arrives_late_does_not_overrule() -> None:
    state = ListenerState([event("a", "dislike", 5.0)])
    state.apply(event("a", "like", 4.0))
    assert state.liked == []


_EVENTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["play", "dislike", "skip", "like"])), max_size=12
).flatmap(lambda drawn: st.permutations([event(t, kind, float(at)) for at, (t, kind) in enumerate(drawn)]))


@given(_EVENTS)
def test_arrival_order_does_not_matter(arrived: list[Event]) -> None:
    happened = sorted(arrived, key=lambda item: item.occurred_at)
    one, other = ListenerState(arrived), ListenerState([*happened, *arrived])
    assert one.liked == other.liked
    assert set(one.seen) == set(other.seen)
    assert set(one.judged) == set(other.judged)
