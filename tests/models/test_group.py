"""The group model as a function of a group: attention, recent behaviour, familiarity, compatibility, axes, and disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audotics.data.groups import MAX_MEMBERS
from audotics.features.groups import GroupEvents, GroupInputs
from audotics.models.collaborative import CollaborativeModel, CollaborativeOptions
from audotics.models.group import GroupModel, aligned

N_TRACKS, RANK, TASTE = 40, 12, 3
A, B = np.arange(0, 10), np.arange(20, 30)
NEW = np.asarray([12, 15, 18, 32, 35, 38])
NOTHING = GroupEvents.of(np.zeros(0, np.int64))


@pytest.fixture(scope="module")
def factors() -> CollaborativeModel:
    """Factors under which tracks 0..19 go together, and tracks 20..39."""
    rng = np.random.default_rng(0)
    history, track = (rng.normal(0.0, 0.3, (N_TRACKS, RANK)).astype(np.float32) for _ in range(2))
    for vectors in (history, track):
        vectors[:20, 0] += 2.0
        vectors[20:, 1] += 2.0
    return CollaborativeModel(history, track, CollaborativeOptions(rank=RANK))


def make(factors: CollaborativeModel, *, taste_size: int = 0, spread: float = 0.0) -> GroupModel:
    """A model whose trainable parameters are noise of `spread` about their start."""
    torch.manual_seed(1)
    model = GroupModel(N_TRACKS, rank=RANK, embedding_size=4, taste_size=taste_size, dropout=0.5)
    model.set_factors(factors, np.arange(N_TRACKS))
    model.compatibility_range[:] = torch.tensor([0.1, 0.3])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += spread * torch.randn(parameter.shape)
    return model.eval()


@pytest.fixture(scope="module")
def model(factors: CollaborativeModel) -> GroupModel:
    return make(factors, spread=0.3)


def run(
    model: GroupModel,
    histories: list[np.ndarray],
    events: GroupEvents = NOTHING,
    candidates: np.ndarray = NEW,
    taste: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    return model.recommend(GroupInputs.of(histories, events, candidates, taste=taste))


def test_outputs_have_the_shapes_of_the_contract(model: GroupModel) -> None:
    outputs = run(model, [A, B, A[:3]], GroupEvents.of(A[:2]))

    assert {name: value.shape for name, value in outputs.items()} == {
        "score": (6,),
        "weights": (3, 6),
        "member_score": (3, 6),
        "compatibility": (3, 3),
        "group_compatibility": (1,),
    }
    np.testing.assert_allclose(outputs["weights"].sum(axis=0), 1.0, atol=1e-6)


def test_how_much_a_member_counts_depends_on_the_candidate(model: GroupModel) -> None:
    weights = run(model, [A, B])["weights"]

    assert np.ptp(weights[0]) > 0.02


def test_before_training_the_score_is_members_mean_and_the_groups_own(factors: CollaborativeModel) -> None:
    outputs = run(make(factors), [A, B], GroupEvents.of(B[:4]))
    own = factors.user_vectors([B[:4]]) @ factors.track_vectors[NEW].T

    members = (outputs["weights"] * outputs["member_score"]).sum(axis=0)
    np.testing.assert_allclose(outputs["score"], members + own[0], atol=1e-4)
    np.testing.assert_allclose(run(make(factors), [A, B])["weights"], 0.5, atol=1e-6)


def test_a_track_adds_nothing_to_its_own_score(factors: CollaborativeModel, model: GroupModel) -> None:
    score = run(model, [np.append(A, 12)], candidates=np.asarray([12]))["member_score"][0, 0]
    raw = factors.history_vectors[np.append(A, 12)].sum(axis=0)
    without = factors.history_vectors[A].sum(axis=0)

    assert score == pytest.approx(without @ factors.track_vectors[12] / np.linalg.norm(raw), abs=1e-4)


def test_an_event_adds_nothing_to_its_own_score(factors: CollaborativeModel) -> None:
    model = make(factors)
    with torch.no_grad():
        model.mixture.bias[:] = torch.tensor([0.0, 1.0, 0.0])
    events = GroupEvents.of(np.asarray([3, 12, 4]), skipped=np.asarray([False, True, False]))

    raw = factors.history_vectors[[3, 4]].sum(axis=0) - factors.history_vectors[12]
    without = factors.history_vectors[[3, 4]].sum(axis=0)
    expected = without @ factors.track_vectors[12] / np.linalg.norm(raw)
    assert run(model, [A], events, np.asarray([12]))["score"][0] == pytest.approx(expected, abs=1e-4)


def test_accepting_the_tracks_of_a_members_taste_gives_that_member_weight(model: GroupModel) -> None:
    before = run(model, [A, B])["weights"]
    after = run(model, [A, B], GroupEvents.of(np.asarray([11, 13, 14])))["weights"]

    assert (after[0] > before[0] + 0.01).all()


def test_skipping_the_tracks_of_a_members_taste_takes_weight_from_that_member(model: GroupModel) -> None:
    skipped = GroupEvents.of(np.asarray([11, 13, 14]), skipped=np.ones(3, np.bool_))

    assert (run(model, [A, B], skipped)["weights"][0] < run(model, [A, B])["weights"][0] - 0.01).all()


def test_what_happened_last_counts_most(model: GroupModel) -> None:
    tracks = np.asarray([11, 13, 31, 33])
    towards_b = run(model, [A, B], GroupEvents.of(tracks, half_life=1.0))["weights"]
    towards_a = run(model, [A, B], GroupEvents.of(tracks[::-1], half_life=1.0))["weights"]

    assert (towards_b[1] > towards_a[1]).all()


def test_members_may_come_in_any_order(model: GroupModel) -> None:
    events = GroupEvents.of(A[:2])
    one, other = run(model, [A, B, A[:3]], events), run(model, [A[:3], A, B], events)

    np.testing.assert_allclose(one["score"], other["score"], atol=1e-5)
    np.testing.assert_allclose(one["weights"][[2, 0, 1]], other["weights"], atol=1e-5)
    np.testing.assert_allclose(one["compatibility"][np.ix_([2, 0, 1], [2, 0, 1])], other["compatibility"], atol=1e-5)


def test_candidates_do_not_disturb_each_other(model: GroupModel) -> None:
    together = run(model, [A, B], GroupEvents.of(A[:2]))

    for column, track in enumerate(NEW):
        alone = run(model, [A, B], GroupEvents.of(A[:2]), np.asarray([track]))
        np.testing.assert_allclose(alone["score"][0], together["score"][column], atol=1e-5)


def test_the_largest_group_and_one_that_nobody_knows_are_served(model: GroupModel) -> None:
    rng = np.random.default_rng(3)
    crowd = run(model, [rng.integers(0, N_TRACKS, 5) for _ in range(MAX_MEMBERS)])
    unknown = run(model, [np.zeros(0, np.int64)] * 2)

    assert crowd["weights"].shape == (MAX_MEMBERS, 6)
    assert np.isfinite(crowd["score"]).all()
    assert np.isfinite(unknown["score"]).all()
    np.testing.assert_allclose(unknown["member_score"], 0.0)


def test_familiar_tracks_are_penalised_by_the_share_that_knows_them(factors: CollaborativeModel) -> None:
    model = make(factors, spread=0.3)
    candidates = np.asarray([12, 3, 25])
    plain = run(model, [A, A[:3], B], GroupEvents.of(np.asarray([25])), candidates)["score"]
    model.familiarity_penalty.fill_(3.0)
    penalised = run(model, [A, A[:3], B], GroupEvents.of(np.asarray([25])), candidates)["score"]

    np.testing.assert_allclose(plain - penalised, [0.0, 1.0, 3.0], atol=1e-5)


def test_equal_listeners_are_compatible_and_opposite_ones_are_not(model: GroupModel) -> None:
    matrix = run(model, [A, A, B])["compatibility"]

    np.testing.assert_allclose(matrix, matrix.T)
    np.testing.assert_array_equal(np.diag(matrix), 1.0)
    assert matrix[0, 1] == pytest.approx(1.0, abs=1e-5)
    assert matrix[0, 2] < 0.2
    near = run(model, [A, np.arange(5, 15), B])["compatibility"]
    assert matrix[0, 2] < near[0, 1] < 1.0


def test_somebody_unknown_is_as_compatible_as_two_listeners_usually_are(model: GroupModel) -> None:
    outputs = run(model, [A, np.zeros(0, np.int64)])

    np.testing.assert_allclose(outputs["compatibility"], [[1.0, 0.3], [0.3, 1.0]], atol=1e-6)
    np.testing.assert_allclose(outputs["group_compatibility"], [0.3], atol=1e-6)


def test_a_groups_compatibility_is_the_mean_of_its_pairs(model: GroupModel) -> None:
    outputs = run(model, [A, np.arange(5, 15), B])
    pairs = outputs["compatibility"][np.triu_indices(3, 1)]

    assert outputs["group_compatibility"][0] == pytest.approx(pairs.mean(), abs=1e-6)
    np.testing.assert_array_equal(run(model, [A])["group_compatibility"], [1.0])


def test_before_training_texts_change_nothing(factors: CollaborativeModel) -> None:
    model = make(factors, taste_size=TASTE)
    texts = np.random.default_rng(0).normal(0.0, 1.0, (2, TASTE))

    plain = run(model, [A, B], taste=np.zeros((2, TASTE)))
    np.testing.assert_array_equal(run(model, [A, B], taste=texts)["score"], plain["score"])


def test_trained_texts_count_where_there_are_any(factors: CollaborativeModel) -> None:
    model = make(factors, taste_size=TASTE, spread=0.3)
    texts = np.random.default_rng(0).normal(0.0, 1.0, (2, TASTE))

    plain = run(model, [A, B], taste=np.zeros((2, TASTE)))
    assert np.abs(run(model, [A, B], taste=texts)["score"] - plain["score"]).max() > 0.05


def test_texts_of_another_width_are_refused(model: GroupModel) -> None:
    with pytest.raises(ValueError, match="taste has 3 columns, but the model was trained with 0"):
        run(model, [A], taste=np.ones((1, 3)))


def test_a_saved_model_comes_back_equal(factors: CollaborativeModel, tmp_path: Path) -> None:
    model = make(factors, taste_size=TASTE, spread=0.3)
    model.familiarity_penalty.fill_(2.0)
    model.save(tmp_path)
    back = GroupModel.load(tmp_path)
    texts = np.ones((2, TASTE))

    expected = run(model, [A, B], GroupEvents.of(A[:2]), taste=texts)
    for name, value in run(back, [A, B], GroupEvents.of(A[:2]), taste=texts).items():
        np.testing.assert_array_equal(value, expected[name])


def test_turned_factors_score_alike_and_stand_on_the_same_axes(factors: CollaborativeModel) -> None:
    turn = np.linalg.qr(np.random.default_rng(5).normal(0.0, 1.0, (RANK, RANK)))[0].astype(np.float32)
    turned = CollaborativeModel(factors.history_vectors @ turn, factors.track_vectors @ turn, factors.options)

    back = aligned(turned, factors.track_vectors)

    np.testing.assert_allclose(back.track_vectors, factors.track_vectors, atol=1e-4)
    np.testing.assert_allclose(back.scores([A, B]), turned.scores([A, B]), atol=1e-4)


def test_factors_of_fewer_dimensions_are_filled_up(factors: CollaborativeModel) -> None:
    few = CollaborativeModel(factors.history_vectors[:, :5], factors.track_vectors[:, :5], factors.options)

    back = aligned(few, factors.track_vectors)

    assert back.track_vectors.shape == (N_TRACKS, RANK)
    np.testing.assert_allclose(back.scores([A, B]), few.scores([A, B]), atol=1e-4)
