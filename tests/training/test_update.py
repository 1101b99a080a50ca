"""Runs that take in more data: what is held out of them, what NCF goes on from, and what cannot be an update."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from audotics.data.dataset import Dataset, Interactions, LoadReport
from audotics.data.synthetic import synthetic
from audotics.features.tracks import TrackColumns
from audotics.training.comparison import compare
from audotics.training.group_run import GroupRun, GroupRunOptions
from audotics.training.ncf_update import start_weights
from audotics.training.pipeline import train, update
from audotics.training.progress import Progress, Quiet
from audotics.training.run import Run, RunError, RunOptions
from audotics.training.seen import Seen, hold_out_new
from audotics.training.tasks import update_run
from tests.groups import two_tastes as two_taste_groups

FLAGS = {
    "collaborative": {"rank": 16, "search": False},
    "ncf": {"embedding_size": 8, "epochs": 2, "pretrain_epochs": 2},
    "group": {"rank": 8, "epochs": 3, "embedding_size": 4, "folds": 2},
}
OPTIONS = RunOptions(seed=1, k_core=3)


class Watcher(Progress, Protocol):
    """The fixture of that name."""

    lines: list[str]

    @property
    def stages(self) -> list[tuple[str, int, int]]: ...


@pytest.fixture(scope="module")
def whole() -> Dataset:
    return synthetic(n_tracks=150, n_users=120, seed=2, mean_history=18)


def part_of(whole: Dataset, share: float, *, listeners: int | None = None) -> Dataset:
    """The first `share` of each history, of the first `listeners`, with the catalogue that was played by then."""
    interactions = whole.interactions
    offsets = interactions.offsets(whole.n_users)
    place = np.arange(len(interactions)) - offsets[interactions.users]
    kept = place < np.ceil(share * np.diff(offsets))[interactions.users]
    n_users = whole.n_users if listeners is None else listeners
    early = interactions.take(kept & (interactions.users < n_users))
    played = np.unique(early.tracks)
    rows = np.searchsorted(played, early.tracks).astype(np.int32)
    earlier = Interactions(early.users, rows, early.weights, early.timestamps)
    smaller = replace(whole, tracks=whole.tracks.take(played), user_ids=whole.user_ids[:n_users], interactions=earlier)
    return smaller.with_interactions(earlier)


@pytest.fixture(scope="module")
def early(whole: Dataset) -> Dataset:
    return part_of(whole, 0.6, listeners=100)


@pytest.fixture
def run(early: Dataset, tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", early, OPTIONS)


def pairs(run: Run, histories: list[np.ndarray]) -> set[tuple[str, str]]:
    """(listener, track) by id, of histories over the core."""
    ids = run.split().tracks.ids
    return {(str(user), str(ids[row])) for user, rows in zip(run.user_ids(), histories, strict=True) for row in rows}


def held_out(run: Run) -> set[tuple[str, str]]:
    split = run.split()
    listeners = {tuple(history): user for history, user in zip(split.training, run.user_ids(), strict=True)}
    return {
        (str(listeners[tuple(history)]), str(split.tracks.ids[target]))
        for history, target in zip(split.test.histories, split.test.targets, strict=True)
    }


def test_what_the_models_have_seen_is_never_held_out_again(run: Run, early: Dataset, whole: Dataset) -> None:
    split = run.split()
    final, selection, tested = pairs(run, split.training), pairs(run, split.fitting), held_out(run)

    new = run.update(whole)

    assert new == {
        "tracks": whole.n_tracks - early.n_tracks,
        "listeners": 20,
        "interactions": len(whole.interactions) - len(early.interactions),
    }
    again = Run.open(run.path)
    split = again.split()
    assert final < pairs(again, split.training)
    assert selection < pairs(again, split.fitting)
    assert held_out(again).isdisjoint(pairs(again, split.training))
    assert len(split.test.targets) == len(split.training)
    # Without a new track a listener keeps what was held out.
    assert held_out(again) & tested
    assert held_out(again) - tested
    assert again.counts["interactions"] == len(whole.interactions)


def test_an_update_is_noted_and_leaves_one_folder_of_data(run: Run, early: Dataset, whole: Dataset) -> None:
    before = run.fingerprint

    run.update(whole)

    again = Run.open(run.path)
    (noted,) = again.updates
    assert (noted["previous"], noted["fingerprint"]) == (before, again.fingerprint)
    assert noted["new"]["interactions"] == len(whole.interactions) - len(early.interactions)
    assert [path.name for path in run.path.iterdir() if path.name.startswith("data")] == ["data-2"]
    assert update_run(run.path, whole, OPTIONS)[1] is None
    assert len(Run.open(run.path).updates) == 1


def test_models_are_outdated_until_they_are_updated(run: Run, whole: Dataset, watcher: Watcher) -> None:
    train(run, ["collaborative", "ncf"], FLAGS, resume=False, progress=Quiet())
    compare(run, progress=Quiet())
    old_tracks = run.counts["core_tracks"]
    run.update(whole)

    assert run.kinds == {}
    assert list(compare(run, progress=Quiet()).rows) == ["popularity", "item k-NN", "EASE"]
    records = update(Run.open(run.path), ["ncf"], progress=watcher)

    again = Run.open(run.path)
    assert (list(again.kinds), list(again.outdated)) == (["ncf"], ["collaborative"])
    assert records["ncf"]["updated"]["new_tracks"] == again.counts["core_tracks"] - old_tracks > 0
    assert 100 <= records["ncf"]["updated"]["changed_listeners"] <= again.counts["core_listeners"]
    assert records["ncf"]["options"]["embedding_size"] == 8
    assert "metrics" not in records["ncf"]
    update(again, ["ncf", "collaborative"], progress=watcher)

    assert watcher.lines == ["ncf: kept, nothing is new since it was trained"]
    again = Run.open(run.path)
    assert again.outdated == {}
    assert not list(run.path.glob("seen-*"))
    assert {"ncf", "collaborative"} <= compare(again, progress=Quiet()).rows.keys()


def test_a_kind_that_missed_an_update_goes_on_from_what_it_was(tmp_path: Path, whole: Dataset) -> None:
    run = Run.create(tmp_path / "run", part_of(whole, 0.6, listeners=100), OPTIONS)
    train(run, ["ncf"], FLAGS, resume=False, progress=Quiet())
    old_tracks = run.counts["core_tracks"]
    run.update(part_of(whole, 0.8))
    run.update(whole)

    record = update(Run.open(run.path), ["ncf"], progress=Quiet())["ncf"]

    assert [noted["new"]["listeners"] for noted in Run.open(run.path).updates] == [20, 0]
    assert record["updated"]["new_tracks"] == run.counts["core_tracks"] - old_tracks


def test_an_updated_network_ranks_what_is_new_better_than_the_old_one(tmp_path: Path, two_tastes: list) -> None:
    whole = dataset_of(two_tastes)
    early = dataset_of([history[:5] for history in two_tastes[:40]])
    run = Run.create(tmp_path / "run", early, RunOptions(k_core=2))
    flags = {"ncf": {"embedding_size": 8, "epochs": 3, "pretrain_epochs": 10, "pretrain_learning_rate": 0.02}}
    train(run, ["ncf"], flags, resume=False, progress=Quiet())

    run.update(whole)
    update(run, ["ncf"], progress=Quiet())

    rows = compare(run, progress=Quiet()).rows
    assert rows["ncf"]["ndcg@10"] > 1.2 * rows["popularity"]["ndcg@10"]


def dataset_of(histories: list[np.ndarray]) -> Dataset:
    owners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    heard = Interactions.build(owners, np.concatenate(histories))
    listeners = np.asarray([f"u{user}" for user in range(len(histories))], object)
    made = Dataset("made", TrackColumns.build([f"t{row}" for row in range(40)]), listeners, heard, LoadReport("made"))
    return made.with_interactions(heard)


def test_vanished_interactions_are_no_update(run: Run, early: Dataset, whole: Dataset) -> None:
    less = whole.interactions.take(np.arange(len(whole.interactions)) != 3)

    with pytest.raises(RunError, match=r"cannot be updated, since 1 of its interactions are no longer in .*anew into"):
        run.update(whole.with_interactions(less))

    assert Run.open(run.path).fingerprint == run.fingerprint
    assert Run.open(run.path).updates == []


def test_other_options_are_no_update(run: Run, whole: Dataset) -> None:
    with pytest.raises(RunError, match=r"an update cannot change that to .*'k_core': 4"):
        update_run(run.path, whole, replace(OPTIONS, k_core=4))
    train(run, ["ncf"], FLAGS, resume=False, progress=Quiet())

    with pytest.raises(RunError, match="ncf was trained with embedding_size 8 and not 16; give the same"):
        update(run, ["ncf"], {"ncf": {"embedding_size": 16}}, progress=Quiet())
    with pytest.raises(RunError, match="has no sequence to update; train it first, without --update"):
        update(run, ["ncf", "sequence"], progress=Quiet())


def test_a_run_of_a_version_that_noted_no_listeners_says_so(run: Run, whole: Dataset) -> None:
    path = run.data_path / "split.npz"
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "listeners"}
    np.savez(path, **kept)

    with pytest.raises(RunError, match="was made by a version that could not update runs"):
        run.update(whole)


def test_a_new_track_starts_as_the_mean_of_those_it_is_heard_with() -> None:
    tracks = replace(
        TrackColumns.build([f"t{row}" for row in range(6)]), artists=np.asarray(["a", "b", "", "", "b", "c"], object)
    )
    histories = [np.asarray(rows, np.int32) for rows in ([0, 1, 3], [0, 3], [1, 2], [2])]

    weights = np.asarray(start_weights(np.asarray([0, 1, 2]), histories, tracks).todense())

    np.testing.assert_array_equal(weights[:3], np.eye(3))
    # Track 3 is heard with 0 twice and with 1 once, and both have two listeners.
    np.testing.assert_allclose(weights[3], [2 / 3, 1 / 3, 0])
    np.testing.assert_array_equal(weights[4], [0, 1, 0])  # nobody heard it: its artist's
    np.testing.assert_allclose(weights[5], [1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize(("how", "expected"), [("last", [2, 5]), ("random", None)])
def test_only_unseen_pairs_are_held_out_and_never_a_listeners_only_one(how, expected) -> None:
    interactions = Interactions.build(np.asarray([0, 0, 0, 1, 1, 1, 2, 3, 3]), np.arange(9))
    seen = np.asarray([True, False, False, False, True, False, False, True, True])

    split = hold_out_new(interactions, 4, seen, seed=0, how=how)

    assert split.test_users.tolist() == [0, 1]
    assert set(split.test_tracks.tolist()) <= {1, 2, 3, 5}
    assert expected is None or split.test_tracks.tolist() == expected
    assert sorted([*split.train.tracks, *split.test_tracks]) == list(range(9))


def test_what_was_seen_comes_back_from_disk(tmp_path: Path) -> None:
    seen = Seen(
        np.asarray(["x", "y"], object),
        np.asarray(["ann", "bob"], object),
        [np.asarray([0, 1], np.int32), np.asarray([], np.int32)],
        [np.asarray([0], np.int32), np.asarray([], np.int32)],
    )
    seen.save(tmp_path / "seen-1.npz")
    back = Seen.load(tmp_path / "seen-1.npz")

    assert back.rows_among(np.asarray(["z", "y"], object)).tolist() == [-1, 1]
    assert [rows.tolist() for rows in back.histories_of(np.asarray(["bob", "cid", "ann"], object), "training")] == [
        [],
        [],
        [0, 1],
    ]
    (tmp_path / "seen-1.npz").write_bytes(b"half")
    with pytest.raises(RunError, match=r"seen-1.npz: cannot be read .*without --update"):
        Seen.load(tmp_path / "seen-1.npz")


def test_a_group_model_goes_on_from_its_network(tmp_path: Path, watcher: Watcher) -> None:
    whole = two_taste_groups()
    kept = np.arange(len(whole.groups)) % 8 < 6
    run = GroupRun.create_or_open(
        tmp_path / "run", replace(whole, groups=whole.groups.take(kept)), GroupRunOptions(seed=2)
    )
    train(run, ["group"], FLAGS, resume=False, progress=Quiet())

    new = run.update(whole)
    record = update(GroupRun.open(run.path), ["group"], progress=watcher)["group"]

    assert new == {"tracks": 0, "listeners": 0, "groups": 0, "interactions": int((~kept).sum())}
    assert len(record["fit"]["losses"]) == 1  # a third of the epochs
    assert record["updated"] == {"new_tracks": 0}
    assert ("group factors", 1, 1) in watcher.stages  # what was chosen for them stays
    with pytest.raises(RunError, match="cannot be updated, since 60 of its interactions"):
        run.update(replace(whole, groups=whole.groups.take(kept)))


def test_a_run_of_another_task_is_no_update(run: Run) -> None:
    with pytest.raises(RunError, match="is a run on listening, which made cannot update"):
        update_run(run.path, two_taste_groups(), OPTIONS)
