"""Counted transitions: shares by hand, what the last tracks say, and the way to disk and back."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.models.sequence import SequenceModel, SequenceOptions, count_transitions

N_TRACKS = 6
histories = st.lists(st.lists(st.integers(0, N_TRACKS - 1), unique=True, max_size=N_TRACKS), max_size=5)


def arrays(lists: list[list[int]]) -> list[np.ndarray]:
    return [np.asarray(rows, np.int32) for rows in lists]


@settings(max_examples=50, deadline=None)
@given(histories, st.integers(1, 5), st.lists(st.integers(0, N_TRACKS - 1), unique=True, max_size=N_TRACKS))
def test_scores_are_those_of_a_plain_loop(lists: list[list[int]], window: int, asked: list[int]) -> None:
    options = SequenceOptions(window=window, decay=0.5, smoothing=2.0, neighbours=N_TRACKS)
    counts: dict[tuple[int, int], float] = defaultdict(float)
    for rows in lists:
        for place, first in enumerate(rows):
            for distance, second in enumerate(rows[place + 1 : place + 1 + window]):
                counts[first, second] += 0.5**distance
    expected = np.zeros(N_TRACKS)
    for age, last in enumerate(asked[::-1][:window]):
        total = sum(counts[last, other] for other in range(N_TRACKS)) + 2.0
        expected += [0.5**age * counts[last, other] / total for other in range(N_TRACKS)]

    (scores,) = count_transitions(arrays(lists), N_TRACKS, options).scores(arrays([asked]))

    np.testing.assert_allclose(scores, np.sqrt(expected), atol=1e-6)


def test_what_follows_matters_and_not_what_came_before() -> None:
    model = count_transitions(arrays([[0, 1], [0, 1], [2, 0]]), N_TRACKS, SequenceOptions())

    scores = model.scores(arrays([[0], [1]]))

    assert scores[0].argmax() == 1
    assert scores[0, 2] == 0
    assert not scores[1].any()


def test_the_last_track_says_more_than_those_before() -> None:
    model = count_transitions(arrays([[0, 2], [1, 3]]), N_TRACKS, SequenceOptions(smoothing=0.0))

    (scores,) = model.scores(arrays([[0, 1]]))

    assert scores[3] > scores[2] > 0


def test_only_the_likeliest_followers_are_kept() -> None:
    lists = [[0, 1]] * 3 + [[0, 2]] * 2 + [[0, 3]]
    model = count_transitions(arrays(lists), N_TRACKS, SequenceOptions(neighbours=2))

    assert model.followers[0].tolist() == [1, 2]
    assert np.flatnonzero(model.scores(arrays([[0]]))[0]).tolist() == [1, 2]


@pytest.mark.parametrize("lists", [[], [[]], [[3], [], [4]]])
def test_without_transitions_nothing_comes_next(lists: list[list[int]]) -> None:
    model = count_transitions(arrays(lists), N_TRACKS, SequenceOptions())

    assert model.scores(arrays([[3, 1], []])).tolist() == [[0.0] * N_TRACKS] * 2


def test_a_window_beyond_what_is_served_is_refused() -> None:
    with pytest.raises(ValueError, match="between 1 and 32 tracks, but is 33"):
        SequenceOptions(window=33)


def test_a_saved_model_comes_back_equal(tmp_path: Path) -> None:
    model = count_transitions(arrays([[0, 1, 2], [2, 0, 5, 4]]), N_TRACKS, SequenceOptions(window=3))
    model.save(tmp_path)
    back = SequenceModel.load(tmp_path, {"window": 3, "decay": 0.7, "smoothing": 10.0, "neighbours": 128})

    np.testing.assert_array_equal(back.scores(arrays([[0, 2], [5]])), model.scores(arrays([[0, 2], [5]])))
