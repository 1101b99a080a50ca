"""What a listener's events say: events go in, in any order, and the liked and the seen tracks come out.

The server folds events as they arrive, training those that had arrived at some time; both by this one rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from audotics.features.history import SEEN_EVENTS, is_positive


class ListenerEvent(Protocol):
    """What counts of an event. `type` is one of `audotics.features.history`, `occurred_at` UTC seconds."""

    @property
    def track_id(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def occurred_at(self) -> float: ...

    @property
    def rating(self) -> float | None: ...


class ListenerState:
    """Folds the events of one listener. The result depends on when they happened, not on when they arrived.

    The latest event that judges a track decides: a positive one puts it into the history, at that time; a dislike, or
    a rating too low to be positive, takes it out.
    """

    __slots__ = ("_judgements", "_seen", "known")

    def __init__(self, events: Iterable[ListenerEvent] = ()) -> None:
        self._judgements: dict[str, tuple[float, bool]] = {}
        self._seen: dict[str, None] = {}
        self.known = False
        """Whether there was any event at all."""
        for event in events:
            self.apply(event)

    def apply(self, event: ListenerEvent) -> None:
        """Take in one more event. Taking it in twice changes nothing."""
        self.known = True
        if event.type in SEEN_EVENTS:
            self._seen[event.track_id] = None
        liked = is_positive(event.type, event.rating)
        if not liked and event.type not in ("dislike", "rating"):
            return
        earlier = self._judgements.get(event.track_id)
        if earlier is None or event.occurred_at >= earlier[0]:
            self._judgements[event.track_id] = (event.occurred_at, liked)

    @property
    def liked(self) -> list[str]:
        """Tracks that were judged well, oldest judgement first."""
        return [track_id for _, track_id in self._liked()]

    @property
    def liked_at(self) -> list[float]:
        """When each of `liked` was, in UTC seconds."""
        return [time for time, _ in self._liked()]

    @property
    def judged(self) -> list[str]:
        """Tracks whose place in the history the events decide, whatever an earlier history says."""
        return list(self._judgements)

    @property
    def seen(self) -> list[str]:
        """Tracks that must not come back."""
        return list(self._seen)

    def _liked(self) -> list[tuple[float, str]]:
        liked = [(time, track_id) for track_id, (time, good) in self._judgements.items() if good]
        return sorted(liked)
