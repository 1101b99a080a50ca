"""What the group model sees: histories of members, what the group did lately, and candidates go in; inputs come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.history import PADDING, pad_histories
from audotics.features.tracks import TagSets

MAX_MEMBER_HISTORY: Final = 512
"""Most recent tracks of a member that the model looks at; with 100 members their vectors take about 50 MB."""

MAX_EVENTS: Final = 4096
"""Most recent events of the group itself that the model looks at."""


@dataclass(frozen=True, slots=True)
class GroupEvents:
    """What the group did, oldest first: int64 (e,) track rows and float32 (e,) weights, below 0 for what it skipped."""

    tracks: NDArray[np.int64]
    weights: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        tracks: NDArray[np.integer],
        *,
        skipped: NDArray[np.bool_] | None = None,
        ages: NDArray[np.floating] | None = None,
        half_life: float = 0.0,
    ) -> GroupEvents:
        """Weigh events: 1 for an accepted track and -1 for a skipped one, halved with each `half_life` of age.

        `ages` (e,) and `half_life` share a unit, such as seconds; without ages an event's age is the number of events
        after it. A `half_life` of 0 lets nothing fade. Only the last MAX_EVENTS are kept.
        """
        weights = np.ones(len(tracks)) if skipped is None else np.where(skipped, -1.0, 1.0)
        if half_life > 0.0:
            since = np.arange(len(tracks))[::-1] if ages is None else ages
            weights = weights * 0.5 ** (since / half_life)
        return cls(tracks[-MAX_EVENTS:].astype(np.int64), weights[-MAX_EVENTS:].astype(np.float32))


@dataclass(frozen=True, slots=True)
class GroupInputs:
    """The inputs of one group of m members and c candidates.

    member_history int64 (m, length), padded with PADDING; known float32 (m, c), 1 where the member heard the candidate;
    event int64 (e,) and event_weight float32 (e,), a single PADDING of weight 0 where there is none; event_known
    float32 (c,), the weights of the events that are the candidate; familiarity float32 (c,), 1 where the group has had
    the candidate, or else the share of members who heard it; taste float32 (m, t) and has_taste float32 (m,).
    """

    member_history: NDArray[np.int64]
    known: NDArray[np.float32]
    event: NDArray[np.int64]
    event_weight: NDArray[np.float32]
    event_known: NDArray[np.float32]
    familiarity: NDArray[np.float32]
    candidate: NDArray[np.int64]
    taste: NDArray[np.float32]
    has_taste: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        histories: Sequence[NDArray[np.integer]],
        events: GroupEvents,
        candidates: NDArray[np.integer],
        *,
        taste: NDArray[np.floating] | None = None,
    ) -> GroupInputs:
        """Inputs from one history a member, oldest first. Rows of zeros in `taste` (m, t) stand for no text."""
        texts = np.zeros((len(histories), 0), np.float32) if taste is None else taste.astype(np.float32)
        known = np.stack([np.isin(candidates, history) for history in histories]).astype(np.float32)
        tracks, weights = events.tracks, events.weights
        if not len(tracks):
            tracks, weights = np.asarray([PADDING], np.int64), np.zeros(1, np.float32)
        had = np.isin(candidates, tracks)
        event_known = np.zeros(len(candidates), np.float32)
        if had.any():
            distinct, place = np.unique(tracks, return_inverse=True)
            sums = np.bincount(place, weights=weights)
            event_known[had] = sums[np.searchsorted(distinct, candidates[had])]
        return cls(
            member_history=pad_histories(histories, max_length=MAX_MEMBER_HISTORY),
            known=known,
            event=tracks,
            event_weight=weights,
            event_known=event_known,
            familiarity=np.maximum(had.astype(np.float32), known.mean(axis=0)),
            candidate=np.asarray(candidates, np.int64),
            taste=texts,
            has_taste=np.any(texts, axis=1, keepdims=True)[:, 0].astype(np.float32),
        )

    def feeds(self) -> dict[str, NDArray[Any]]:
        """Arrays by input name. A model trained without texts has no inputs for them."""
        names = [name for name in self.__slots__ if name not in ("taste", "has_taste") or self.taste.shape[1]]
        return {name: getattr(self, name) for name in names}


def taste_texts(histories: Sequence[NDArray[np.integer]], tags: TagSets, *, most: int = 8) -> list[str]:
    """What each listener likes, in words for a text encoder: their `most` frequent tags, the first the most heard.

    A listener none of whose tracks has a tag gets the empty text. Tags that count the same stand in alphabetical order.
    """
    texts = []
    for history in histories:
        codes, counts = np.unique(tags.take(np.asarray(history, np.int64)).codes, return_counts=True)
        ranked = sorted(zip((-counts).tolist(), (tags.names[code] for code in codes), strict=True))
        texts.append(", ".join(name for _, name in ranked[:most]))
    return texts
