"""What events say about the list that they followed: which start a track, and which are an opinion, and how good a one.

`history.is_positive` says which engage.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

STARTING_EVENTS: Final = frozenset({"play", "complete", "skip"})
"""Events of a track that was started."""

GROUP_EVENTS: Final = frozenset({"join", "vote", "play", "skip"})
"""What happens in sessions of groups that is activity: members join and vote, the group plays and skips."""

OPINIONS: Final[Mapping[str, float]] = MappingProxyType(
    {"like": 1.0, "save": 1.0, "add_to_playlist": 1.0, "share": 1.0, "follow_artist": 1.0, "dislike": 0.0}
)
"""Opinions from 0 to 1. A rating is one, too: its part of MOST_RATING."""

MOST_RATING: Final = 5.0
