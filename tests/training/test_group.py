"""Training of the group model on groups of two tastes: what it learns, what it must not see, and its table."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audotics.data.dataset import DataError
from audotics.data.groups import GroupCandidates, GroupDataset
from audotics.evaluation.groups import candidate_ranks, ranking_metrics
from audotics.features.groups import GroupEvents, GroupInputs
from audotics.models.collaborative import CollaborativeModel, CollaborativeOptions
from audotics.models.group import GroupModel, GroupOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.folder import RunError
from audotics.training.group import SHARES, GroupFit, group_inputs, model_scorer, train_group, without_penalty
from audotics.training.group_batches import CrossFit
from audotics.training.group_comparison import compare_group
from audotics.training.group_evaluation import evaluate_groups
from audotics.training.group_run import GroupRun, GroupRunOptions
from audotics.training.progress import Quiet
from tests.groups import N_TRACKS, group_dataset, two_tastes

OPTIONS = GroupOptions(
    rank=8, embedding_size=4, epochs=3, learning_rate=0.02, negatives=20, folds=3, dropout=0.0, patience=3
)


def trained_on(
    data: GroupDataset, folder: Path, *, options: GroupOptions = OPTIONS, resume: bool = False
) -> tuple[GroupModel, GroupFit]:
    return train_group(data, options, seed=0, checkpoints=Checkpoints(folder), resume=resume, progress=Quiet())


@pytest.fixture(scope="module")
def data() -> GroupDataset:
    return two_tastes()


@pytest.fixture(scope="module")
def trained(data: GroupDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[GroupModel, GroupFit]:
    return trained_on(data, tmp_path_factory.mktemp("group"))


def scores(
    model: GroupModel, histories: list[list[int]], events: list[int], taste: np.ndarray | None = None
) -> np.ndarray:
    members = [np.asarray(history, np.int64) for history in histories]
    inputs = GroupInputs.of(members, GroupEvents.of(np.asarray(events, np.int64)), np.arange(N_TRACKS), taste=taste)
    return model.recommend(inputs)["score"]


def test_held_out_tracks_of_a_groups_taste_come_first(data: GroupDataset, trained: tuple[GroupModel, GroupFit]) -> None:
    model, _ = trained
    ranks = candidate_ranks(model_scorer(model, group_inputs(data, data.test, half_life=0.0)), data.test)

    assert ranking_metrics(ranks)["hr@5"] > 0.95


def test_the_record_says_what_was_chosen(trained: tuple[GroupModel, GroupFit]) -> None:
    model, result = trained
    record = result.to_json()

    assert record["validation"]["ndcg@5"] > 0.15, "chance is 0.03"
    assert record["network_share"] in SHARES
    assert record["groups"] == "as the source has them"
    assert record["familiarity_penalty"] == model.familiarity_penalty.item()
    assert len(record["fit"]["losses"]) == 3


@pytest.mark.parametrize(("history", "own"), [([4, 7, 9], slice(0, 20)), ([33, 39], slice(20, 40))])
def test_a_group_it_never_met_is_served(trained: tuple[GroupModel, GroupFit], history: list[int], own: slice) -> None:
    ranking = np.argsort(-scores(trained[0], [history, history[:1]], []))

    assert set(ranking[:10].tolist()) <= set(range(N_TRACKS)[own])


def test_the_test_part_is_not_looked_at(
    data: GroupDataset, trained: tuple[GroupModel, GroupFit], tmp_path: Path
) -> None:
    none = GroupCandidates(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 1), np.int32))
    model, result = trained_on(replace(data, test=none), tmp_path)

    assert result == trained[1]
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, trained[0].state_dict()[name], rtol=0, atol=0)


def test_an_interrupted_training_goes_on_where_it_was(
    data: GroupDataset, trained: tuple[GroupModel, GroupFit], tmp_path: Path
) -> None:
    trained_on(data, tmp_path, options=replace(OPTIONS, epochs=1))
    _, result = trained_on(data, tmp_path, resume=True)

    assert result == trained[1]


def test_without_penalty_only_familiar_tracks_differ(data: GroupDataset, trained: tuple[GroupModel, GroupFit]) -> None:
    model = trained[0]
    model.familiarity_penalty.fill_(2.0)
    try:
        difference = scores(without_penalty(model), [[1, 2], [2]], [3]) - scores(model, [[1, 2], [2]], [3])
    finally:
        model.familiarity_penalty.fill_(trained[1].familiarity_penalty)

    assert difference[[1, 2, 3]] == pytest.approx([1.0, 2.0, 2.0], abs=1e-5)
    assert difference[4:] == pytest.approx(0.0, abs=1e-6)


def test_texts_tell_the_taste_of_members_without_a_history(tmp_path: Path) -> None:
    model, _ = trained_on(two_tastes(with_taste=True), tmp_path, options=replace(OPTIONS, epochs=6))
    first = np.asarray([[1.0, 0.0], [1.0, 0.0]])

    for own, taste in ((slice(0, 20), first), (slice(20, 40), first[:, ::-1])):
        top = np.argsort(-scores(model, [[], []], [], taste))[:10]
        assert np.isin(top, np.arange(N_TRACKS)[own]).mean() > 0.9
    known = scores(model, [[4, 7, 9], [3]], [], np.zeros((2, 2)))
    assert known[10:20].mean() > known[20:].max()


def recorded(data: GroupDataset) -> tuple[CrossFit, list[tuple[list[np.ndarray], list[np.ndarray]]]]:
    """The folds of `data`, and the histories that the factors of each were fitted to."""
    seen: list[tuple[list[np.ndarray], list[np.ndarray]]] = []

    def fit(users: list[np.ndarray], groups: list[np.ndarray]) -> CollaborativeModel:
        seen.append((users, groups))
        vectors = np.random.default_rng(0).normal(0.0, 1.0, (data.n_tracks, 8)).astype(np.float32)
        return CollaborativeModel(vectors, vectors, CollaborativeOptions(rank=8))

    return CrossFit.of(data, OPTIONS, fit, seed=0, progress=Quiet()), seen


def test_no_target_is_in_a_history_that_its_fold_was_fitted_to(data: GroupDataset) -> None:
    folds, seen = recorded(data)

    assert {row.fold for row in folds.groups} == {0, 1, 2}
    for row in [*folds.groups, *folds.singles]:
        users, groups = seen[row.fold]
        histories = [users[member] for member in row.members] + ([groups[row.group]] if row.group >= 0 else [])
        assert not np.isin(np.concatenate(histories), row.targets).any()


def test_each_interaction_is_a_target_once(data: GroupDataset) -> None:
    folds, _ = recorded(data)

    targets = sorted((row.group, int(track)) for row in folds.groups for track in row.targets)
    pairs = zip(data.groups.users.tolist(), data.groups.tracks.tolist(), strict=True)
    assert targets == sorted(pairs)


def test_a_listener_of_two_groups_loses_the_targets_of_both() -> None:
    data = group_dataset(
        members=[[0, 1], [0, 2]],
        users=[list(range(10)), list(range(10)), list(range(10))],
        groups=[list(range(10)), list(range(10))],
    )
    folds, seen = recorded(data)

    for row in folds.groups:
        for member in row.members:
            assert not np.isin(seen[row.fold][0][member], row.targets).any()


def test_losses_are_those_of_ordinary_numbers_with_a_gradient(data: GroupDataset) -> None:
    folds, _ = recorded(data)
    model = GroupModel(N_TRACKS, rank=8, embedding_size=4)
    batches = folds.batches(model, np.random.default_rng(0))
    losses = [batch() for batch in batches]

    assert len(losses) >= 2 * OPTIONS.folds
    assert all(0.0 < loss.item() < 10.0 for loss in losses)
    losses[0].backward()
    assert model.track.weight.grad.abs().sum() > 0


def test_the_table_has_baselines_first_and_both_protocols(
    data: GroupDataset, trained: tuple[GroupModel, GroupFit]
) -> None:
    rows = compare_group(trained[0], data, OPTIONS, seed=0, progress=Quiet())

    assert next(iter(rows)) == "popularity"
    assert list(rows)[-1] == "group"
    assert {"hr@5", "ndcg@5", "new_hr@5", "new_ndcg@5", "satisfaction", "harmony", "min_satisfaction"} == set(
        rows["group"]
    )
    assert rows["group"]["hr@5"] > rows["popularity"]["hr@5"]
    assert all(0.0 <= value <= 1.0 for metrics in rows.values() for value in metrics.values())


def test_the_table_of_a_run_is_noted_in_it(
    data: GroupDataset, trained: tuple[GroupModel, GroupFit], tmp_path: Path
) -> None:
    run = GroupRun.create_or_open(tmp_path / "run", data, GroupRunOptions())
    with pytest.raises(RunError, match="no group model is trained"):
        evaluate_groups(run, progress=Quiet())
    trained[0].save(run.folder("group"))
    run.record("group", {"options": asdict(OPTIONS), **trained[1].to_json()})

    table = evaluate_groups(run, progress=Quiet())

    assert run.kinds["group"]["metrics"] == table.metrics("group")
    assert table.metrics("group") == compare_group(trained[0], data, OPTIONS, seed=0, progress=Quiet())["group"]


def test_groups_of_a_track_each_are_too_little(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no group has two tracks"):
        trained_on(group_dataset(members=[[0]], users=[[0, 1]], groups=[[2]]), tmp_path)
