"""One pass over a holdout: ranks, lists and confidences."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.evaluation.assessment import CONFIDENT, assess
from audotics.evaluation.lists import Catalogue
from audotics.evaluation.metrics import expected_calibration_error
from audotics.evaluation.ranking import BATCH_USERS, Histories, Holdout, full_ranking
from audotics.features.tracks import TrackColumns

N_USERS, N_TRACKS = BATCH_USERS + 44, 60


class Fixed:
    """Scores by the first track of a history, whose number is that of the listener."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores

    def __call__(self, histories: Histories) -> np.ndarray:
        return self.scores[[int(history[0]) * N_TRACKS + int(history[1]) for history in histories]]


class Confident(Fixed):
    def with_confidence(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        scores = self(histories)
        return scores, 1 / (1 + np.exp(-scores))


@pytest.fixture(scope="module")
def holdout() -> Holdout:
    """Listener u has heard tracks u // 60 and u % 60, and one of the others is held out."""
    rng = np.random.default_rng(0)
    histories = [np.asarray([user // N_TRACKS, user % N_TRACKS], np.int32) for user in range(N_USERS)]
    targets = [rng.choice(np.setdiff1d(np.arange(N_TRACKS), history)) for history in histories]
    return Holdout(histories, np.asarray(targets, np.int32))


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(N_USERS, N_TRACKS)).astype(np.float32)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    plays = np.arange(1, N_TRACKS + 1, dtype=np.float32)
    return Catalogue.of(TrackColumns.build([f"t{t}" for t in range(N_TRACKS)], plays=plays), n_listeners=100)


def test_ranks_are_those_of_the_full_ranking_and_lists_agree_with_them(holdout: Holdout, scores: np.ndarray) -> None:
    sizes: list[int] = []
    assessment = assess(Fixed(scores), holdout, k=10, on_batch=sizes.append)

    np.testing.assert_array_equal(assessment.ranks, full_ranking(Fixed(scores), holdout.histories, holdout.targets))
    assert assessment.lists.shape == (N_USERS, 10)
    listed = assessment.lists == holdout.targets[:, None]
    np.testing.assert_array_equal(listed.any(axis=1), assessment.ranks < 10)
    found = listed.any(axis=1)
    np.testing.assert_array_equal(listed.argmax(axis=1)[found], assessment.ranks[found])
    for history, row in zip(holdout.histories, assessment.lists, strict=True):
        assert not np.isin(history, row).any()
    assert sizes == [BATCH_USERS, 44]


def test_the_metrics_begin_with_hit_rate_and_ndcg(holdout: Holdout, scores: np.ndarray, catalogue: Catalogue) -> None:
    metrics = assess(Fixed(scores), holdout, k=5).metrics(5, catalogue)

    assert list(metrics) == [
        *("hr@5", "ndcg@5", "precision@5", "recall@5", "map@5", "mrr@5"),
        *("coverage@5", "gini@5", "novelty@5"),
    ]
    assert metrics["recall@5"] == metrics["hr@5"] == pytest.approx(5 * metrics["precision@5"])
    assert metrics["map@5"] == metrics["mrr@5"] <= metrics["ndcg@5"] <= metrics["hr@5"]


def test_confidences_are_those_of_the_first_tracks_listed(
    holdout: Holdout, scores: np.ndarray, catalogue: Catalogue
) -> None:
    assessment = assess(Confident(scores), holdout, k=5)

    assert assessment.lists.shape == (N_USERS, 5)
    assert assessment.confidences is not None
    assert assessment.hits is not None
    assert assessment.confidences.shape == assessment.hits.shape == (N_USERS * CONFIDENT,)
    assert assessment.hits.sum() == (assessment.ranks < CONFIDENT).sum()
    first = assessment.confidences[::CONFIDENT]
    np.testing.assert_allclose(first, 1 / (1 + np.exp(-scores[np.arange(N_USERS), assessment.lists[:, 0]])), rtol=1e-6)
    error = expected_calibration_error(assessment.confidences, assessment.hits)
    assert assessment.metrics(5, catalogue)["ece"] == error > 0.5
    assert sum(part.count for part in assessment.reliability()) == N_USERS * CONFIDENT
    assert assess(Fixed(scores), holdout, k=5).reliability() == []


def test_a_listener_with_few_candidates_left_has_few_confidences() -> None:
    holdout = Holdout([np.asarray([0, 2], np.int32)], np.asarray([3], np.int32))

    assessment = assess(Confident(np.random.default_rng(2).normal(size=(3, 5)).astype(np.float32)), holdout, k=4)

    assert assessment.confidences is not None
    assert len(assessment.confidences) == 3
    assert assessment.lists[0].tolist()[3:] == [-1]


def test_bias_is_measured_by_history_and_by_plays(holdout: Holdout, scores: np.ndarray) -> None:
    plays = np.arange(N_TRACKS, dtype=np.float32)
    assessment = assess(Fixed(scores), holdout, k=10)

    bias = assessment.bias(10, holdout, plays)

    assert [(group.low, group.high, group.count) for group in bias["activity"]] == [(2, 2, N_USERS)]
    lowest = bias["popularity"][0]
    members = holdout.targets <= lowest.high
    assert lowest.count == members.sum()
    assert lowest.value == pytest.approx(assessment.ndcg(10)[members].mean())
