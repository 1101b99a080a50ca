"""Ranks among given negatives and the satisfaction of members, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.data.groups import NO_TRACK, GroupCandidates
from audotics.evaluation.groups import (
    candidate_ranks,
    harmony,
    member_satisfaction,
    ranking_metrics,
    satisfaction_metrics,
)

SCORES = np.asarray([[0.0, 3.0, 2.0, 2.0, 1.0, 5.0], [9.0, 9.0, 9.0, 9.0, 9.0, 9.0]])


def score(group: int, tracks: np.ndarray) -> np.ndarray:
    return SCORES[group, tracks]


def test_ranks_count_better_negatives_and_half_of_equal_ones() -> None:
    candidates = GroupCandidates(
        np.asarray([0, 1, 0, 0], np.int32),
        np.asarray([2, 0, 5, 0], np.int32),
        np.asarray([[1, 3, 4], [1, 2, 3], [1, 2, NO_TRACK], [NO_TRACK] * 3], np.int32),
    )

    assert candidate_ranks(score, candidates).tolist() == [1.5, 1.5, 0.0, 0.0]


def test_a_constant_scorer_gets_the_middle_rank() -> None:
    candidates = GroupCandidates(np.zeros(1, np.int32), np.zeros(1, np.int32), np.arange(1, 101, dtype=np.int32)[None])

    assert candidate_ranks(lambda group, tracks: np.ones(len(tracks)), candidates).tolist() == [50.0]


def test_scores_that_are_no_numbers_are_an_error() -> None:
    candidates = GroupCandidates(np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones((1, 1), np.int32))
    with pytest.raises(ValueError, match="NaN or infinite"):
        candidate_ranks(lambda group, tracks: np.full(len(tracks), np.nan), candidates)


def test_metrics_are_means_over_rows() -> None:
    metrics = ranking_metrics(np.asarray([0.0, 1.0, 4.5, 5.0]))

    assert metrics["hr@5"] == 0.75
    assert metrics["ndcg@5"] == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(6.5)) / 4)


def test_satisfaction_compares_with_the_best_list_of_the_length() -> None:
    worth = np.asarray([[1.0, 0.5, 0.0, 0.25], [0.0, 0.2, 0.8, 0.0], [0.0, 0.0, 0.0, 0.0]])

    assert member_satisfaction(worth, np.asarray([0, 2])) == pytest.approx([1.0 / 1.5, 0.8, 1.0])


def test_harmony_is_one_less_the_mean_difference_of_pairs() -> None:
    assert harmony(np.asarray([1.0, 0.4, 0.7])) == pytest.approx(1 - (0.6 + 0.3 + 0.3) / 3)
    assert harmony(np.asarray([0.3, 0.3])) == 1.0
    assert harmony(np.asarray([0.3])) == 1.0


def test_a_list_for_one_member_is_told_from_a_list_for_both() -> None:
    worth = np.asarray([[1.0, 0.9, 0.0, 0.6], [0.0, 0.0, 1.0, 0.7]])
    pools = [(0, np.arange(4))]

    def of(order: list[float]) -> dict[str, float]:
        return satisfaction_metrics(lambda group, tracks: np.asarray(order), lambda group, tracks: worth, pools, k=2)

    selfish, fair = of([9.0, 8.0, 1.0, 2.0]), of([9.0, 1.0, 7.0, 8.0])
    assert selfish == {"satisfaction": 0.5, "harmony": 0.0, "min_satisfaction": 0.0}
    assert fair["min_satisfaction"] == pytest.approx(0.7 / 1.7)
    assert fair["harmony"] > selfish["harmony"]
