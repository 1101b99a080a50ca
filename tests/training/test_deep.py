"""The deep model: trained on two tastes, resumed, saved, asked about strangers, and given too little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.evaluation.ranking import Holdout
from audotics.features.tracks import TagSets, TrackColumns
from audotics.models.deep import DeepModel, DeepOptions
from audotics.training.checkpoints import CheckpointError
from audotics.training.deep import draw_examples, train_deep
from audotics.training.loop import Fit
from audotics.training.progress import Quiet
from audotics.training.run import Split

OPTIONS = DeepOptions(
    embedding_size=8,
    selected=8,
    components=4,
    epochs=4,
    batch_size=32,
    learning_rate=0.03,
    negatives=4,
    dropout=0.2,
    hidden_tracks=0.2,
    patience=4,
)
Train = Callable[..., tuple[DeepModel, Fit]]


@pytest.fixture(scope="module")
def split() -> Split:
    """60 listeners of four tastes, each with seven of the ten tracks of its taste; the last two are held out.

    Tracks have tags of their taste and one that all share; every third has audio, which says nothing.
    """
    rng = np.random.default_rng(0)
    heard = [(rng.choice(10, 7, replace=False) + 10 * taste_of(user)).astype(np.int32) for user in range(60)]
    tags = [[f"taste {row // 10}", f"style {row // 10}", "seen live"] for row in range(40)]
    audio = rng.random((40, 11))
    audio[np.arange(40) % 3 > 0] = np.nan
    tracks = TrackColumns.build([f"t{row}" for row in range(40)], tags=TagSets.from_lists(tags), audio=audio)
    training, fitting = [history[:-1] for history in heard], [history[:-2] for history in heard]
    return Split(
        np.arange(40),
        tracks,
        training,
        fitting,
        Holdout(fitting, np.asarray([history[-2] for history in heard])),
        Holdout(training, np.asarray([history[-1] for history in heard])),
    )


def taste_of(user: int) -> int:
    return user % 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deep")


@pytest.fixture(scope="module")
def train(split: Split, folder: Path) -> Train:
    def call(options: DeepOptions, name: str, *, resume: bool = False) -> tuple[DeepModel, Fit]:
        return train_deep(split, options, seed=0, checkpoints=folder / name, resume=resume, progress=Quiet())

    return call


@pytest.fixture(scope="module")
def trained(train: Train) -> tuple[DeepModel, Fit]:
    return train(OPTIONS, "whole")


def test_held_out_tracks_rank_above_those_of_other_tastes(trained: tuple[DeepModel, Fit], split: Split) -> None:
    model, result = trained
    scores = model.scorer(split.tracks, split.training)(split.test.histories)

    assert result.losses[-1] < result.losses[0]
    assert len(result.scores) == len(result.losses)
    own = scores[np.arange(60), split.test.targets]
    others = np.stack([np.delete(scores[user].reshape(4, 10), taste_of(user), axis=0).ravel() for user in range(60)])
    assert (own[:, None] > others).mean() > 0.98


def test_scores_are_the_networks_probabilities(trained: tuple[DeepModel, Fit], split: Split) -> None:
    model, _ = trained
    side = model.side(split.tracks)
    users, tracks = np.asarray([3, 60]), np.asarray([0, 7, 40])
    pairs = [np.repeat(users, 3), np.tile(tracks, 2), np.tile(side[[0, 7, 9]], (2, 1))]

    expected = np.asarray(model.network(pairs, training=False)).reshape(2, 3)

    np.testing.assert_allclose(model.scores(users, tracks, side[[0, 7, 9]]), expected, atol=1e-6)
    assert ((expected > 0) & (expected < 1)).all()


def test_somebody_else_is_an_unknown_listener(trained: tuple[DeepModel, Fit], split: Split) -> None:
    model, _ = trained
    stranger = np.asarray([1, 25], np.int32)
    scores = model.scorer(split.tracks, split.training)([stranger, split.training[4], np.zeros(0, np.int32)])
    unknown, fourth = model.scores(np.asarray([model.unknown_user, 4]), np.arange(40), model.side(split.tracks))

    np.testing.assert_allclose(scores, [unknown, fourth, unknown], atol=1e-6)
    assert np.abs(unknown - fourth).max() > 0.1


def test_an_unknown_track_is_judged_by_its_side_features(trained: tuple[DeepModel, Fit]) -> None:
    model, _ = trained
    tags = TagSets.from_lists([[f"taste {taste}", f"style {taste}"] for taste in range(4)])
    side = model.side(TrackColumns.build([*"abcd"], tags=tags))
    scores = model.scores(np.arange(60), np.full(4, model.unknown_track), side)

    assert (scores.argmax(axis=1) == [taste_of(user) for user in range(60)]).mean() > 0.9


def test_it_comes_back_from_disk(trained: tuple[DeepModel, Fit], split: Split, tmp_path: Path) -> None:
    model, _ = trained
    model.save(tmp_path)
    loaded = DeepModel.load(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {"model.keras", "preprocessing.npz", "features.json"}
    expected = model.scorer(split.tracks, split.training)(split.test.histories)
    np.testing.assert_array_equal(loaded.scorer(split.tracks, split.training)(split.test.histories), expected)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    trained: tuple[DeepModel, Fit], train: Train, split: Split
) -> None:
    _, before = train(replace(OPTIONS, epochs=2), "parts")
    model, after = train(OPTIONS, "parts", resume=True)

    assert before.losses == pytest.approx(trained[1].losses[:2], rel=1e-4)
    assert after.losses == pytest.approx(trained[1].losses, rel=1e-4)
    assert after.scores == pytest.approx(trained[1].scores, rel=1e-4)
    everybody = (np.arange(61), np.arange(40), model.side(split.tracks))
    np.testing.assert_allclose(model.scores(*everybody), trained[0].scores(*everybody), atol=1e-3)


@pytest.mark.parametrize("file", ["losses.json", "epoch-004.weights.h5"])
def test_a_damaged_checkpoint_is_named(trained: tuple[DeepModel, Fit], train: Train, folder: Path, file: str) -> None:
    name = f"damaged {file}"
    (folder / name / "selection").mkdir(parents=True)
    for path in (folder / "whole" / "selection").iterdir():
        content = path.read_bytes()
        (folder / name / "selection" / path.name).write_bytes(content[:15] if path.name == file else content)

    with pytest.raises(CheckpointError, match=rf"selection/{file}: is .*train without --resume"):
        train(OPTIONS, name, resume=True)


def test_a_checkpoint_of_another_shape_is_refused(trained: tuple[DeepModel, Fit], train: Train) -> None:
    with pytest.raises(CheckpointError, match=r"whole/selection: .*another shape.*without --resume"):
        train(replace(OPTIONS, embedding_size=6), "whole", resume=True)


def test_tracks_of_which_nothing_is_known_are_refused(split: Split, folder: Path) -> None:
    bare = replace(split, tracks=TrackColumns.build(split.tracks.ids))

    with pytest.raises(DataError, match=r"no track has audio features, or a tag that a second .* bring a catalogue"):
        train_deep(bare, OPTIONS, seed=0, checkpoints=folder / "bare", resume=False, progress=Quiet())


def test_examples_are_what_was_heard_and_what_was_not() -> None:
    histories = [np.asarray([0, 1, 2], np.int32), np.asarray([3], np.int32)]
    options = replace(OPTIONS, negatives=500, hidden_listeners=0.25, hidden_tracks=0.5)
    pairs, labels = draw_examples(histories, 5, options, rng=np.random.default_rng(0))
    users, tracks, rows = pairs.T

    assert labels.sum() == 4
    assert sorted(rows[labels == 1].tolist()) == [0, 1, 2, 3]
    assert set(zip(users[labels == 0].tolist(), rows[labels == 0].tolist(), strict=True)) == {
        *((0, row) for row in (3, 4)),
        *((1, row) for row in (0, 1, 2, 4)),
        *((2, row) for row in range(5)),
    }
    assert set(tracks[tracks != rows].tolist()) == {5}
    assert (users == 2).mean() == pytest.approx(0.25, abs=0.05)
    assert (tracks == 5).mean() == pytest.approx(0.5, abs=0.05)


def test_examples_come_in_another_order_each_epoch(split: Split) -> None:
    first, _ = draw_examples(split.training, 40, OPTIONS, rng=np.random.default_rng([0, 1]))
    again, _ = draw_examples(split.training, 40, OPTIONS, rng=np.random.default_rng([0, 1]))
    second, _ = draw_examples(split.training, 40, OPTIONS, rng=np.random.default_rng([0, 2]))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[:100], second[:100])
