"""Inputs of the group model: weights of events, what is known, and texts of taste."""

from __future__ import annotations

import numpy as np

from audotics.features.groups import MAX_EVENTS, MAX_MEMBER_HISTORY, GroupEvents, GroupInputs, taste_texts
from audotics.features.history import PADDING
from audotics.features.tracks import TagSets


def test_events_fade_with_what_came_after() -> None:
    events = GroupEvents.of(np.asarray([4, 5, 6]), half_life=1.0)

    assert events.weights.tolist() == [0.25, 0.5, 1.0]
    assert GroupEvents.of(np.asarray([4, 5, 6])).weights.tolist() == [1.0, 1.0, 1.0]


def test_events_fade_with_time_where_ages_are_given() -> None:
    events = GroupEvents.of(np.asarray([4, 5]), ages=np.asarray([7200.0, 0.0]), half_life=3600.0)

    assert events.weights.tolist() == [0.25, 1.0]


def test_a_skip_counts_against() -> None:
    events = GroupEvents.of(np.asarray([4, 5]), skipped=np.asarray([True, False]))

    assert events.weights.tolist() == [-1.0, 1.0]


def test_the_latest_events_are_kept() -> None:
    events = GroupEvents.of(np.arange(MAX_EVENTS + 3), skipped=np.arange(MAX_EVENTS + 3) == MAX_EVENTS + 2)

    assert (len(events.tracks), events.tracks[0], events.tracks[-1]) == (MAX_EVENTS, 3, MAX_EVENTS + 2)
    assert events.weights[-1] == -1.0


def test_inputs_say_what_the_group_knows() -> None:
    inputs = GroupInputs.of(
        [np.asarray([1, 2, 3]), np.asarray([2])],
        GroupEvents.of(np.asarray([7, 8, 7]), skipped=np.asarray([False, False, True]), half_life=1.0),
        np.asarray([2, 7, 9, 3, 8]),
    )

    assert inputs.member_history.tolist() == [[1, 2, 3], [2, PADDING, PADDING]]
    assert inputs.known.tolist() == [[1, 0, 0, 1, 0], [1, 0, 0, 0, 0]]
    assert inputs.event_known.tolist() == [0, -0.75, 0, 0, 0.5]
    assert inputs.familiarity.tolist() == [1, 1, 0, 0.5, 1]


def test_a_group_that_has_just_met_has_one_empty_event() -> None:
    inputs = GroupInputs.of([np.asarray([1])], GroupEvents.of(np.zeros(0, np.int64)), np.asarray([1, 2]))

    assert (inputs.event.tolist(), inputs.event_weight.tolist()) == ([PADDING], [0.0])
    assert inputs.familiarity.tolist() == [1, 0]


def test_long_histories_are_cut_at_the_old_end() -> None:
    inputs = GroupInputs.of([np.arange(600)], GroupEvents.of(np.zeros(0, np.int64)), np.asarray([1]))

    assert inputs.member_history.shape == (1, MAX_MEMBER_HISTORY)
    assert inputs.member_history[0, -1] == 599


def test_texts_are_fed_only_where_there_are_any() -> None:
    events, candidates = GroupEvents.of(np.zeros(0, np.int64)), np.asarray([1])
    histories = [np.asarray([1]), np.asarray([2])]
    without = GroupInputs.of(histories, events, candidates).feeds()
    with_taste = GroupInputs.of(histories, events, candidates, taste=np.asarray([[0.0, 0.0], [0.5, 0.0]])).feeds()

    assert set(with_taste) - set(without) == {"taste", "has_taste"}
    assert with_taste["has_taste"].tolist() == [0.0, 1.0]


def test_taste_in_words_names_the_most_heard_tags_first() -> None:
    # Tracks carry: rock; rock and jazz; jazz and folk; nothing.
    tags = TagSets(("rock", "jazz", "folk"), np.asarray([0, 1, 3, 5, 5]), np.asarray([0, 0, 1, 1, 2], np.int32))
    histories = [np.asarray([0, 1]), np.asarray([1, 2]), np.asarray([3]), np.zeros(0, np.int32)]

    assert taste_texts(histories, tags) == ["rock, jazz", "jazz, folk, rock", "", ""]
    assert taste_texts(histories, tags, most=1) == ["rock", "jazz", "", ""]
