"""Runs: what is held out from whom, reopening, and folders that hold something else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.data.synthetic import synthetic
from audotics.features.tracks import TrackColumns
from audotics.training.run import Run, RunError, RunOptions, Split


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return synthetic(n_tracks=200, n_users=120, seed=2, mean_history=15)


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.create(tmp_path_factory.mktemp("runs") / "deep" / "run", dataset, RunOptions(seed=1))


@pytest.fixture(scope="module")
def split(run: Run) -> Split:
    return run.split()


def test_the_core_is_smaller_and_keeps_its_rows_of_the_catalogue(dataset: Dataset, run: Run, split: Split) -> None:
    assert run.counts["core_tracks"] == len(split.tracks) < dataset.n_tracks
    assert run.counts["core_listeners"] == len(split.training) <= dataset.n_users
    assert split.tracks.ids.tolist() == dataset.tracks.ids[split.rows].tolist()
    assert split.tracks.titles.tolist() == dataset.tracks.titles[split.rows].tolist()


def test_everybody_has_five_tracks_and_every_track_five_listeners(run: Run, split: Split) -> None:
    together = [len(history) for history in split.training]
    users = {tuple(history) for history in split.training}
    assert len(users) > 1
    assert min(together) + 1 >= 5
    heard = np.concatenate([*split.training, split.test.targets])
    assert np.bincount(heard, minlength=len(split.tracks)).min() >= 5
    assert len(heard) == run.counts["core_interactions"]


def test_test_tracks_never_occur_in_training(split: Split) -> None:
    assert len(split.test.targets) == len(split.training)
    for history, target, training in zip(split.test.histories, split.test.targets, split.training, strict=True):
        assert target not in history
        np.testing.assert_array_equal(history, training)


def test_validation_tracks_occur_in_training_but_never_in_fitting(split: Split) -> None:
    assert len(split.validation.targets) == len(split.fitting)
    for user, (fitting, target) in enumerate(zip(split.fitting, split.validation.targets, strict=True)):
        assert target not in fitting
        assert sorted([*fitting, target]) == sorted(split.training[user])
        assert target != split.test.targets[user]
        np.testing.assert_array_equal(split.validation.histories[user], fitting)


def test_plays_count_the_training_part_alone(split: Split) -> None:
    expected = np.bincount(np.concatenate(split.training), minlength=len(split.tracks))

    np.testing.assert_array_equal(split.tracks.plays, expected)


def test_the_whole_catalogue_and_all_histories_are_kept(dataset: Dataset, run: Run) -> None:
    histories = run.histories()

    assert run.tracks().ids.tolist() == dataset.tracks.ids.tolist()
    np.testing.assert_array_equal(run.tracks().plays, dataset.tracks.plays)
    assert histories.user_ids.tolist() == dataset.user_ids.tolist()
    heard = dataset.interactions.histories(dataset.n_users)
    for user in (0, 50, dataset.n_users - 1):
        kept = histories.rows[histories.offsets[user] : histories.offsets[user + 1]]
        np.testing.assert_array_equal(kept, heard[user])


def test_a_run_reopened_is_the_same(run: Run, split: Split) -> None:
    again = Run.open(run.path)

    assert (again.name, again.options, again.counts) == (run.name, run.options, run.counts)
    assert again.options == {"seed": 1, "k_core": 5, "split": "random"}
    assert again.training_data == run.training_data
    np.testing.assert_array_equal(again.split().test.targets, split.test.targets)
    np.testing.assert_array_equal(again.split().validation.targets, split.validation.targets)


def test_the_split_depends_on_the_seed_alone(dataset: Dataset, split: Split, tmp_path: Path) -> None:
    same = Run.create(tmp_path / "same", dataset, RunOptions(seed=1)).split()
    other = Run.create(tmp_path / "other", dataset, RunOptions(seed=2)).split()

    np.testing.assert_array_equal(same.test.targets, split.test.targets)
    assert (other.test.targets != split.test.targets).any()


def test_the_last_track_can_be_held_out(dataset: Dataset, tmp_path: Path) -> None:
    split = Run.create(tmp_path / "run", dataset, RunOptions(k_core=1, split="last")).split()

    histories = [history for history in dataset.interactions.histories(dataset.n_users) if len(history) >= 2]
    assert split.test.targets.tolist() == [history[-1] for history in histories]
    longer = [history for history in histories if len(history) >= 3]
    assert split.validation.targets.tolist() == [history[-2] for history in longer]


def test_records_of_kinds_are_added_up_and_kept(dataset: Dataset, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", dataset, RunOptions())
    run.record("ncf", {"options": {"epochs": 3}})
    run.record_metrics("ncf", {"hr@10": 0.5})

    assert Run.open(run.path).kinds == {"ncf": {"options": {"epochs": 3}, "metrics": {"hr@10": 0.5}}}


def test_the_same_data_and_options_go_on_in_the_same_run(dataset: Dataset, run: Run) -> None:
    assert Run.create_or_open(run.path, dataset, RunOptions(seed=1)).path == run.path


@pytest.mark.parametrize("options", [RunOptions(seed=2), RunOptions(seed=1, k_core=4), RunOptions(1, 5, "last")])
def test_other_options_need_another_folder(dataset: Dataset, run: Run, options: RunOptions) -> None:
    with pytest.raises(RunError, match=r"holds a run of synthetic with .*choose another --output"):
        Run.create_or_open(run.path, dataset, options)


def test_other_data_need_another_folder(run: Run) -> None:
    other = synthetic(n_tracks=200, n_users=121, seed=2, mean_history=15)

    with pytest.raises(RunError, match=f"{run.path}: holds a run of other data .synthetic: [0-9]+ tracks, "):
        Run.create_or_open(run.path, other, RunOptions(seed=1))


def test_an_empty_folder_can_become_a_run(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()

    run = Run.create_or_open(tmp_path / "run", dataset, RunOptions())

    assert Run.open(tmp_path / "run").counts == run.counts


def test_a_folder_with_other_things_is_left_alone(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(RunError, match=f"{tmp_path}: is not a run"):
        Run.create_or_open(tmp_path, dataset, RunOptions())

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}"], ids=["absent", "empty", "cut off", "list", "no keys"])
def test_what_is_no_run_is_not_opened(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)

    with pytest.raises(RunError, match=f"{tmp_path}: is not a run .*`audotics train all"):
        Run.open(tmp_path)


@pytest.mark.parametrize("name", ["split.npz", "tracks.arrow"])
@pytest.mark.parametrize("damage", ["remove", "cut off"])
def test_damaged_data_are_named(dataset: Dataset, tmp_path: Path, name: str, damage: str) -> None:
    run = Run.create(tmp_path / "run", dataset, RunOptions())
    path = run.path / "data" / name
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(RunError, match=f"{run.path / 'data'}: cannot be read .*train again"):
        run.split()


def test_what_a_crash_left_behind_is_replaced(dataset: Dataset, tmp_path: Path) -> None:
    partial = tmp_path / "run.partial" / "data"
    partial.mkdir(parents=True)
    (partial / "stale").write_text("half a file")

    run = Run.create(tmp_path / "run", dataset, RunOptions())

    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert not (run.path / "data" / "stale").exists()
    assert json.loads((run.path / "run.json").read_text())["dataset"] == "synthetic"


def tiny(histories: list[list[int]], n_tracks: int) -> Dataset:
    users = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    interactions = Interactions.build(users, np.concatenate(histories).astype(np.int32))
    listeners = np.asarray([f"u{user}" for user in range(len(histories))], object)
    tracks = TrackColumns.build([f"t{row}" for row in range(n_tracks)])
    return Dataset("tiny", tracks, listeners, interactions, LoadReport("hand-made")).with_interactions(interactions)


def test_too_little_data_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    scarce = tiny([[0, 1, 2], [0, 1], [2]], n_tracks=3)

    with pytest.raises(DataError, match=r"only 1 listeners have the three tracks .*lower --k-core or bring more"):
        Run.create(tmp_path / "run", scarce, RunOptions(k_core=1))
    with pytest.raises(DataError, match="5-core of tiny is empty"):
        Run.create(tmp_path / "run", scarce, RunOptions())

    assert list(tmp_path.iterdir()) == []


def test_listeners_with_little_are_kept_but_not_tested(tmp_path: Path) -> None:
    split = Run.create(
        tmp_path / "run", tiny([[0], [0, 1], [0, 1, 2], [1, 2, 3]], n_tracks=4), RunOptions(k_core=1)
    ).split()

    assert [len(history) for history in split.training] == [1, 1, 2, 2]
    assert [len(history) for history in split.fitting] == [1, 1, 1, 1]
    assert len(split.test.targets) == 3
    assert len(split.validation.targets) == 2
