"""Full ranking against a count by hand, and held-out listeners."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.evaluation.ranking import (
    BATCH_USERS,
    NO_TRACK,
    Holdout,
    full_ranking,
    sampled_ranking,
    set_ranking,
    summary,
)

N_TRACKS = 7


@given(st.data())
def test_rank_counts_better_unheard_tracks_and_half_of_the_ties(data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=N_TRACKS, max_size=N_TRACKS))
    target = data.draw(st.integers(0, N_TRACKS - 1))
    others = [track for track in range(N_TRACKS) if track != target]
    history = data.draw(st.lists(st.sampled_from(others), unique=True))

    ranks = full_ranking(
        lambda histories: np.asarray([scores], np.float32), [np.asarray(history, np.int32)], np.asarray([target])
    )

    rivals = [scores[track] for track in others if track not in history]
    better, equal = sum(rival > scores[target] for rival in rivals), sum(rival == scores[target] for rival in rivals)
    assert ranks.tolist() == [better + equal / 2]


def test_listeners_of_later_batches_keep_their_own_scores() -> None:
    n = BATCH_USERS + 10
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(n, n)).astype(np.float32)
    histories = [np.asarray([user], np.int32) for user in range(n)]
    targets = (np.arange(n) + 1) % n
    sizes: list[int] = []

    ranks = full_ranking(
        lambda batch: scores[[int(history[0]) for history in batch]], histories, targets, on_batch=sizes.append
    )

    expected = [sum(scores[u, t] > scores[u, targets[u]] for t in range(n) if t != u) for u in range(n)]
    assert ranks.tolist() == expected
    assert sizes == [BATCH_USERS, 10]


def test_a_constant_scorer_gets_the_middle_rank() -> None:
    ranks = full_ranking(lambda histories: np.zeros((1, 101), np.float32), [np.zeros(0, np.int32)], np.asarray([3]))

    assert ranks.tolist() == [50]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    scores = np.asarray([[1.0, bad, 0.0]], np.float32)

    with pytest.raises(ValueError, match="NaN or infinite"):
        full_ranking(lambda histories: scores, [np.asarray([0])], np.asarray([2]))


def test_a_held_out_track_that_was_heard_is_refused() -> None:
    with pytest.raises(ValueError, match="among those that the listener has heard"):
        full_ranking(lambda histories: np.zeros((1, 3), np.float32), [np.asarray([0])], np.asarray([0]))
    with pytest.raises(ValueError, match="or no candidate"):
        set_ranking(
            lambda histories: np.zeros((1, 3), np.float32),
            [np.asarray([0])],
            [np.asarray([2])],
            among=np.asarray([True, True, False]),
        )


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_ranks_of_a_set_are_the_mean_over_all_orders_of_what_ties(data: st.DataObject) -> None:
    n = 5
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=n, max_size=n))
    relevant = data.draw(st.lists(st.integers(0, n - 1), unique=True, min_size=1))
    history = data.draw(st.lists(st.sampled_from([t for t in range(n) if t not in relevant] or [99]), unique=True))
    history = [track for track in history if track < n]

    ranks = set_ranking(
        lambda histories: np.asarray([scores], np.float32),
        [np.asarray(history, np.int32)],
        [np.asarray(relevant, np.int32)],
    )

    candidates = [track for track in range(n) if track not in history]
    expected = []
    for order in permutations(range(n)):
        listed = sorted(candidates, key=lambda track: (-scores[track], order[track]))
        expected.append([place for place, track in enumerate(listed) if track in relevant])
    np.testing.assert_allclose(ranks[0], np.mean(expected, axis=0), atol=1e-12)


def test_a_set_of_one_has_the_rank_of_leave_one_out() -> None:
    n = BATCH_USERS + 20
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, (n, 30)).astype(np.float32)
    histories = [np.asarray([user % 30, (user + 1) % 30], np.int32) for user in range(n)]
    targets = (np.arange(n) + 2) % 30

    def scorer() -> object:
        rows = iter(range(0, n, BATCH_USERS))
        return lambda batch: scores[next(rows) :][: len(batch)]

    several = set_ranking(scorer(), histories, [np.asarray([target]) for target in targets])

    assert several.shape == (n, 1)
    assert several[:, 0].tolist() == full_ranking(scorer(), histories, targets).tolist()


def test_only_candidates_compete() -> None:
    among = np.asarray([True, False, True, True, False])
    ranks = set_ranking(
        lambda histories: np.asarray([[1, 9, 3, 2, 8]]), [np.asarray([1])], [np.asarray([0, 3])], among=among
    )

    assert ranks.tolist() == [[1, 2]]


def test_the_rank_among_sampled_negatives_by_loops() -> None:
    m, n = BATCH_USERS + 30, 40
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 6, (m, n)).astype(np.float32)
    targets = rng.integers(0, n, m)
    negatives = rng.integers(0, n, (m, 9))
    negatives[rng.random((m, 9)) < 0.2] = NO_TRACK
    negatives[5] = targets[5]
    histories = [np.asarray([row], np.int32) for row in range(m)]

    ranks = sampled_ranking(lambda batch: scores[[int(history[0]) for history in batch]], histories, targets, negatives)

    for row in range(m):
        rivals = [scores[row, t] for t in negatives[row] if t not in (NO_TRACK, targets[row])]
        own = scores[row, targets[row]]
        assert ranks[row] == sum(rival > own for rival in rivals) + sum(rival == own for rival in rivals) / 2
    assert ranks[5] == 0


def test_the_scorer_keeps_its_array() -> None:
    scores = np.asarray([[1.0, 2.0, 3.0]])
    full_ranking(lambda histories: scores, [np.asarray([0])], np.asarray([2]))

    assert scores.tolist() == [[1, 2, 3]]


def test_summary_takes_the_mean_over_listeners() -> None:
    assert summary(np.asarray([0.0, 2.0, 10.0, 99.0])) == {"hr@10": 0.5, "ndcg@10": 0.375}
    assert summary(np.asarray([0.0, 2.0]), k=1) == {"hr@1": 0.5, "ndcg@1": 0.5}


@pytest.fixture
def holdout() -> Holdout:
    return Holdout([np.asarray([user]) for user in range(50)], np.arange(50, dtype=np.int32) + 100)


def test_a_sample_keeps_listeners_with_their_targets(holdout: Holdout) -> None:
    sample = holdout.sample(20, seed=4)

    users = [int(history[0]) for history in sample.histories]
    assert len(set(users)) == 20
    assert sample.targets.tolist() == [user + 100 for user in users]
    assert holdout.sample(20, seed=4).targets.tolist() == sample.targets.tolist()
    assert holdout.sample(20, seed=5).targets.tolist() != sample.targets.tolist()


def test_a_sample_of_all_is_all(holdout: Holdout) -> None:
    assert holdout.sample(50, seed=0) is holdout
    assert len(holdout.sample(10_000, seed=0).targets) == 50


def test_evaluate_is_the_summary_of_the_ranking() -> None:
    holdout = Holdout([np.asarray([0]), np.asarray([1])], np.asarray([1, 2], np.int32))
    scores = np.asarray([[9, 5, 1, 0], [9, 9, 2, 3]], np.float32)

    metrics = holdout.evaluate(lambda histories: scores)

    assert metrics == {"hr@10": 1.0, "ndcg@10": pytest.approx((1 + 0.5) / 2)}
