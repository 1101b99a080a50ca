"""What a list earned, and what a tilt does to weights."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.history import SEEN_EVENTS
from audotics.features.hybrid import COMPONENTS
from audotics.features.rewards import EVENT_REWARDS, MOST, event_reward, shared_rewards, track_rewards
from audotics.features.tilts import AS_TRAINED, FACTOR, TILTS, tilted_weights


def test_every_event_has_a_reward() -> None:
    assert SEEN_EVENTS | {"follow_artist", "impression"} == {*EVENT_REWARDS, "rating"}


@pytest.mark.parametrize(
    ("event", "rating", "reward"),
    [
        ("complete", None, 1.0),
        ("dislike", None, -1.0),
        ("rating", 5.0, 1.0),
        ("rating", 2.5, 0.0),
        ("rating", 0.0, -1.0),
        ("rating", None, 0.0),
        ("of another version", None, 0.0),
    ],
)
def test_event_reward(event: str, rating: float | None, reward: float) -> None:
    assert event_reward(event, rating) == reward


@pytest.mark.parametrize(
    ("events", "reward"),
    [
        ([], 0.0),
        ([("a", "play", None), ("a", "complete", None), ("a", "like", None)], 1.0),
        ([("a", "play", None), ("b", "play", None), ("b", "play", None)], 1.0),
        ([("a", "complete", None), ("a", "dislike", None), ("a", "skip", None)], -1.0),
        ([(f"t{number}", "like", None) for number in range(20)], MOST),
        ([(f"t{number}", "dislike", None) for number in range(20)], -MOST),
    ],
)
def test_a_list_earns_what_its_tracks_do(events: list[tuple[str, str, float | None]], reward: float) -> None:
    assert sum(track_rewards(events).values()) == reward
    assert sum(track_rewards(reversed(events)).values()) == reward


def test_of_several_listeners_the_mean_counts() -> None:
    like, skip, complete = ("a", "like", None), ("a", "skip", None), ("b", "complete", None)
    assert shared_rewards([[like, complete], [like, skip], []]) == {"a": 0.25, "b": 1.0}
    assert shared_rewards([]) == {}
    many = [[(f"t{number}", "like", None) for number in range(20)] for _ in range(3)]
    assert sum(shared_rewards(many).values()) == pytest.approx(MOST)


def test_a_tilt_moves_one_weight_within_its_bounds() -> None:
    weights = np.arange(12, dtype=np.float32).reshape(2, 6) + 1
    for name, factors in TILTS.items():
        tilted = tilted_weights(weights, factors)
        moved = [place for place, factor in enumerate(factors) if factor != 1.0]
        assert len(moved) == (name != AS_TRAINED)
        assert set(factors) <= {1.0, FACTOR, 1 / FACTOR}
        for place in moved:
            assert name.endswith(COMPONENTS[place])
            assert np.array_equal(tilted[:, place], weights[:, place] * factors[place])
        kept = [place for place in range(6) if place not in moved]
        assert np.array_equal(tilted[:, kept], weights[:, kept])
        assert tilted.dtype == np.float32
