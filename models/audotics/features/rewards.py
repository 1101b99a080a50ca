"""What a list earned: the events that name it go in, what each of its tracks earned comes out.

Learning and evaluation count alike.

An event is worth what it says of its track, from -1 to 1; the values are hand-set. A listener may say several things of
a track: an objection outweighs praise, and of two of a kind the stronger one counts, so that a play which is completed
and then liked is one good track and not three. Of several who say something of a track, as the members of a group do,
the mean counts: a larger group is not worth more. A list earns the sum over its tracks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from audotics.features.outcomes import MOST_RATING

EVENT_REWARDS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "play": 0.5,
        "complete": 1.0,
        "like": 1.0,
        "save": 1.0,
        "add_to_playlist": 1.0,
        "share": 1.0,
        "follow_artist": 1.0,
        "impression": 0.0,
        "skip": -0.5,
        "dislike": -1.0,
    }
)
"""Every event but a rating, which is worth the more the further it is from the middle."""

MOST: Final = 5.0
"""A list earns no more than this, and no less than its negative, so that no single one decides what is learned."""

_MIDDLE_RATING: Final = MOST_RATING / 2


def event_reward(event: str, rating: float | None = None) -> float:
    """What one event says of its track, -1 to 1; 0 for an event of another version."""
    if event == "rating":
        return 0.0 if rating is None else max(-1.0, min(1.0, (rating - _MIDDLE_RATING) / _MIDDLE_RATING))
    return EVENT_REWARDS.get(event, 0.0)


def track_rewards(events: Iterable[tuple[str, str, float | None]]) -> dict[str, float]:
    """What each track of a list earned by events of a track, a type and a rating each, all of one listener.

    They add up to what the list earned. Where that would be beyond MOST, all of them are scaled down.
    """
    return shared_rewards([events])


def shared_rewards(listeners: Iterable[Iterable[tuple[str, str, float | None]]]) -> dict[str, float]:
    """As `track_rewards`, by the events of several listeners: the mean of those who said anything of a track."""
    said: dict[str, list[float]] = {}
    for events in listeners:
        for track_id, reward in _by_track(events).items():
            said.setdefault(track_id, []).append(reward)
    rewards = {track_id: sum(each) / len(each) for track_id, each in said.items()}
    beyond = abs(sum(rewards.values())) / MOST
    return {track_id: reward / max(1.0, beyond) for track_id, reward in rewards.items()}


def _by_track(events: Iterable[tuple[str, str, float | None]]) -> dict[str, float]:
    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    for track_id, event, rating in events:
        reward = event_reward(event, rating)
        lowest[track_id] = min(reward, lowest.get(track_id, 0.0))
        highest[track_id] = max(reward, highest.get(track_id, 0.0))
    return {track_id: low if low < 0 else highest[track_id] for track_id, low in lowest.items()}
