"""What a listener's events say: events go in, in any order, and the liked and the seen tracks come out."""

from __future__ import annotations

from collections.abc import Iterable

from audotics.features.history import SEEN_EVENTS, is_positive
from audotics.server.types import Event


class UserState:
    """Folds the events of one listener. The result depends on when they happened, not on when they arrived.

    The latest event that judges a track decides: a positive one puts it into the history, at that time; a dislike, or
    a rating too low to be positive, takes it out.
    """

    __slots__ = ("_judgements", "_seen", "known")

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._judgements: dict[str, tuple[float, bool]] = {}
        self._seen: dict[str, None] = {}
        self.known = False
        """Whether there was any event at all."""
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
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
        liked = [(time, track_id) for track_id, (time, good) in self._judgements.items() if good]
        return [track_id for _, track_id in sorted(liked, key=lambda item: item[0])]

    @property
    def judged(self) -> list[str]:
        """Tracks whose place in the history the events decide, whatever an earlier history says."""
        return list(self._judgements)

    @property
    def seen(self) -> list[str]:
        """Tracks that must not come back."""
        return list(self._seen)
