"""Training of the genre classifier: what is learnt, chosen and recorded, resumed, and refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.labelled import LabelledTracks
from audotics.data.loaders.gtzan import load_gtzan
from audotics.models.genre import EXPERTS, GenreModel, GenreOptions
from audotics.training.checkpoints import CheckpointError
from audotics.training.genre import cross_validate, train_genre
from audotics.training.genre_search import SEARCH_TRACKS, choose, fit_pool, search_sample
from audotics.training.progress import Quiet
from tests.data.conftest import real_data  # noqa: F401
from tests.labelled import clouds, labelled

DATA = clouds()
FIXED = GenreOptions(search=False)


def train(
    data: LabelledTracks, options: GenreOptions, folder: Path, *, resume: bool = False, progress: Any = None
) -> tuple[GenreModel, dict[str, Any]]:
    return train_genre(data, options, seed=0, checkpoints=folder, resume=resume, progress=progress or Quiet())


def test_genres_are_learnt_and_the_record_says_how_well(tmp_path: Path) -> None:
    model, record = train(DATA, FIXED, tmp_path)
    new = clouds(seed=1)
    right = (model.probabilities(new.x).argmax(axis=1) == new.labels).mean()

    assert right > 0.9
    assert record["validation"]["accuracy"] == pytest.approx(right, abs=0.1)
    assert record["validation"]["log_loss"] == pytest.approx(record["fit"]["log_loss"])
    assert record["options"] == asdict(FIXED)
    assert list(record["fit"]["pool"]) == [name for name in EXPERTS if name != "trees"]


def test_trees_grow_where_a_kernel_machine_cannot_keep_all_tracks(tmp_path: Path) -> None:
    """Classes that lie in stripes, which three anchors cannot show."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 6, (1_200, 3))
    data = labelled(x, np.asarray(["black", "white"])[x[:, 0].astype(int) % 2].tolist())
    options = replace(FIXED, anchors=3, rounds=60)

    model, record = train(data, options, tmp_path)
    _, without = train(data, replace(options, rounds=0), tmp_path)

    assert list(record["fit"]["pool"]) == list(EXPERTS)
    assert record["fit"]["pool"]["trees"] > 0
    assert record["validation"]["accuracy"] > without["validation"]["accuracy"] + 0.2
    assert model.trees is not None
    assert model.trees.roots.shape == (60, 2)


def test_nothing_is_learnt_from_noise_and_the_record_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = labelled(rng.normal(size=(120, 6)), rng.choice(["a", "b", "c"], 120).tolist())
    _, record = train(noise, FIXED, tmp_path)

    assert record["validation"]["accuracy"] < 0.5
    assert record["validation"]["log_loss"] == pytest.approx(np.log(3), abs=0.1)


def test_the_search_chooses_what_helps() -> None:
    """Classes that differ in the direction of their spread: only covariances of their own tell them apart."""
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(100, 4)) * scale for scale in ([4, 1, 1, 1], [1, 4, 1, 1]))
    data = labelled(np.concatenate([first, second]), ["a"] * 100 + ["b"] * 100)
    chosen = choose(data, GenreOptions(whitening=0.3, width=1.0, ridge=0.3, shrinkage=0.8), seed=0, progress=Quiet())

    assert chosen.shrinkage == 0.4
    assert chosen.selected == 4


def test_a_search_on_much_data_looks_at_the_same_share_of_each_class_but_at_some_of_all() -> None:
    many = clouds(["a", "b", "c"], each=2 * SEARCH_TRACKS, n_features=3)
    of_class = [np.flatnonzero(many.labels == label) for label in range(3)]
    rows = np.concatenate([of_class[0], of_class[1][:SEARCH_TRACKS], of_class[2][:12]])
    sample = search_sample(many.take(rows), seed=0)

    assert SEARCH_TRACKS <= len(sample) <= SEARCH_TRACKS + 30
    assert sample.counts["a"] == pytest.approx(2 * sample.counts["b"], rel=0.01)
    assert sample.counts["c"] == 12
    assert search_sample(DATA, seed=0) is DATA


def test_a_finished_search_is_not_made_again(tmp_path: Path, watcher: Any) -> None:
    model, record = train(DATA, GenreOptions(), tmp_path)
    again, resumed = train(DATA, GenreOptions(), tmp_path, resume=True, progress=watcher)

    assert [title for title, _, _ in watcher.stages] == ["genre"]
    assert watcher.lines == ["genre: resumed after the search"]
    assert all(done == total for _, total, done in watcher.stages)
    assert resumed == record
    np.testing.assert_array_equal(again.probabilities(DATA.x), model.probabilities(DATA.x))


def test_a_search_for_other_data_is_made_anew(tmp_path: Path, watcher: Any) -> None:
    train(DATA, GenreOptions(), tmp_path)
    train(clouds(seed=1), GenreOptions(), tmp_path, resume=True, progress=watcher)

    assert [title for title, _, _ in watcher.stages] == ["genre: choice of settings", "genre"]


def test_a_damaged_search_is_named(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text('{"chosen": ')

    with pytest.raises(CheckpointError, match=r"search\.json: is not a record of a search; train without --resume"):
        train(DATA, GenreOptions(), tmp_path, resume=True)


def test_a_class_of_which_all_tracks_are_one_recording_is_refused(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    x[10:] = x[10]

    with pytest.raises(DataError, match=r"class 'b' has 1 tracks or groups"):
        train(labelled(x, ["a"] * 10 + ["b"] * 10), FIXED, tmp_path)


def test_the_pool_finds_the_expert_that_knows() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    scores = np.stack([rng.normal(size=(300, 3)), np.eye(3)[labels] + 0.3 * rng.normal(size=(300, 3))])
    pool, log_loss = fit_pool(scores, labels)

    assert pool[1] > 20 * pool[0] >= 0
    assert log_loss < fit_pool(scores[:1], labels)[1] < np.log(3) + 1e-9


def test_cross_validation_compares_with_baselines() -> None:
    data = clouds(spread=1.5)
    rows = cross_validate(data, FIXED, folds=3, seed=0, progress=Quiet())
    accuracy = {row["model"]: row["metrics"]["accuracy"] for row in rows}

    assert list(accuracy) == ["majority class", "logistic regression", "svm", "boosted trees", "genre"]
    assert accuracy["majority class"] == pytest.approx(1 / 3)
    assert min(value for name, value in accuracy.items() if name != "majority class") > 0.6
    assert "ece" in rows[-1]["metrics"]
    assert "ece" not in rows[2]["metrics"], "the scores of a support vector machine are no probabilities"


def test_real_clips(real_data: Callable[[str], Path], tmp_path: Path) -> None:  # noqa: F811
    _, record = train(load_gtzan(real_data("gtzan")), FIXED, tmp_path)

    assert record["validation"]["accuracy"] > 0.75
    assert record["validation"]["ece"] < 0.06
