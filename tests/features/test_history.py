"""Histories: padding, and which events count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.features.history import (
    MAX_HISTORY,
    PADDING,
    POSITIVE_EVENTS,
    SEEN_EVENTS,
    is_positive,
    pad_histories,
)


@given(st.lists(st.lists(st.integers(0, 1000), max_size=12), max_size=6), st.integers(1, 10))
def test_rows_keep_the_newest_tracks_in_order(histories: list[list[int]], max_length: int) -> None:
    padded = pad_histories([np.asarray(history, np.int32) for history in histories], max_length=max_length)

    assert padded.dtype == np.int64
    assert padded.shape == (len(histories), max([1, *(min(len(history), max_length) for history in histories)]))
    for row, history in zip(padded, histories, strict=True):
        kept = history[-max_length:]
        assert row[: len(kept)].tolist() == kept
        assert (row[len(kept) :] == PADDING).all()


def test_very_long_histories_are_cut_at_the_old_end() -> None:
    padded = pad_histories([np.arange(MAX_HISTORY + 10)])

    assert padded.shape == (1, MAX_HISTORY)
    assert (padded[0, 0], padded[0, -1]) == (10, MAX_HISTORY + 9)


@pytest.mark.parametrize(
    ("event", "rating", "positive"),
    [
        ("play", None, True),
        ("like", None, True),
        ("skip", None, False),
        ("dislike", None, False),
        ("dislike", 5.0, False),
        ("rating", 3.0, True),
        ("rating", 2.9, False),
        ("rating", None, False),
        ("unheard of", None, False),
    ],
)
def test_which_events_say_more_of_the_kind(event: str, rating: float | None, positive: bool) -> None:
    assert is_positive(event, rating) is positive


def test_whatever_was_liked_or_refused_was_seen() -> None:
    assert POSITIVE_EVENTS < SEEN_EVENTS
    assert {"skip", "dislike", "rating"} <= SEEN_EVENTS
