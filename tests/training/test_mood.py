"""Training of the mood classifier: what is learnt and recorded, resumed, and refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.labelled import LabelledTracks
from audotics.features.audio import AUDIO_FEATURES
from audotics.models.mood import FAMILIES, MoodModel, MoodOptions
from audotics.training.checkpoints import CheckpointError
from audotics.training.mood import cross_validate, train_mood
from audotics.training.progress import Quiet
from tests.labelled import clouds, labelled

OPTIONS = MoodOptions(
    folds=3, repeats=1, thresholds=4, hidden=8, epochs=6, batch_size=12, learning_rate=0.03, patience=6
)


def moods(*, each: int = 30, spread: float = 0.7, seed: int = 0) -> LabelledTracks:
    """Four clouds that no rule knows of, since they lie elsewhere than the rules point."""
    return clouds(FAMILIES, each=each, n_features=11, spread=spread, seed=seed, feature_names=AUDIO_FEATURES)


def train(
    options: MoodOptions,
    folder: Path,
    *,
    data: LabelledTracks | None = None,
    resume: bool = False,
    progress: Any = None,
) -> tuple[MoodModel, dict[str, Any]]:
    tracks = moods() if data is None else data
    return train_mood(tracks, options, seed=0, checkpoints=folder, resume=resume, progress=progress or Quiet())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[MoodModel, dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("mood") / "whole"
    return *train(OPTIONS, folder), folder


def test_moods_are_learnt_and_the_record_says_how_well(trained: tuple[MoodModel, dict[str, Any], Path]) -> None:
    model, record, _ = trained
    new = moods(seed=1)
    right = (model.families(new.x).argmax(axis=1) == new.labels).mean()

    assert right > 0.8
    assert record["validation"]["accuracy"] == pytest.approx(right, abs=0.1)
    assert record["fit"]["losses"][-1] < record["fit"]["losses"][0]
    assert record["fit"]["members"] == 3
    assert record["options"]["hidden"] == 8


def test_labels_that_mean_nothing_end_in_probabilities_that_say_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = labelled(
        rng.normal(size=(160, 11)), rng.permutation(np.repeat(FAMILIES, 40)).tolist(), feature_names=AUDIO_FEATURES
    )
    model, record = train(OPTIONS, tmp_path, data=noise)

    assert record["fit"]["temperature"] > 2
    assert record["validation"]["log_loss"] == pytest.approx(np.log(4), abs=0.1)
    assert model.families(noise.x).max(axis=1).mean() < 0.6


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    trained: tuple[MoodModel, dict[str, Any], Path], tmp_path: Path, watcher: Any
) -> None:
    train(replace(OPTIONS, epochs=3), tmp_path)
    model, record = train(OPTIONS, tmp_path, resume=True, progress=watcher)

    assert watcher.lines == ["mood: resumed after epoch 3"]
    assert record["fit"]["losses"] == pytest.approx(trained[1]["fit"]["losses"], rel=1e-4)
    assert record["fit"]["temperature"] == pytest.approx(trained[1]["fit"]["temperature"], rel=1e-3)
    x = moods().x
    np.testing.assert_allclose(model.probabilities(x), trained[0].probabilities(x), atol=1e-3)


def test_training_stops_when_it_no_longer_helps(tmp_path: Path) -> None:
    _, record = train(replace(OPTIONS, epochs=60, patience=2, batch_size=60, learning_rate=0.1), tmp_path)
    fit = record["fit"]

    assert len(fit["losses"]) == fit["best_epoch"] + 2 < 60
    assert fit["scores"][fit["best_epoch"] - 1] == max(fit["scores"])


@pytest.mark.parametrize(("size", "file"), [(15, "losses.json"), (15, "epoch-006.weights.h5")])
def test_a_damaged_checkpoint_is_named(
    trained: tuple[MoodModel, dict[str, Any], Path], tmp_path: Path, size: int, file: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(trained[2], folder)
    (folder / file).write_bytes((folder / file).read_bytes()[:size])

    with pytest.raises(CheckpointError, match=rf"{file}: is .*; train without --resume"):
        train(OPTIONS, folder, resume=True)


def test_a_checkpoint_of_another_shape_is_refused(trained: tuple[MoodModel, dict[str, Any], Path]) -> None:
    with pytest.raises(CheckpointError, match="another shape"):
        train(replace(OPTIONS, hidden=6), trained[2], resume=True)


@pytest.mark.parametrize("names", [("Calm", "Happy"), ("Calm", "Energetic", "Happy", "sad")])
def test_other_moods_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    data = clouds(names, n_features=11, feature_names=AUDIO_FEATURES)

    with pytest.raises(DataError, match=r"drawn: its classes are .*, but mood learns from Calm, Energetic, Happy, Sad"):
        train(OPTIONS, tmp_path, data=data)


def test_cross_validation_measures_the_four_moods() -> None:
    tracks = moods(each=12)
    x = tracks.x.copy()
    x[:, AUDIO_FEATURES.index("mode")] = np.nan  # as in the real data
    rows = cross_validate(replace(tracks, x=x), replace(OPTIONS, epochs=2), folds=2, seed=0, progress=Quiet())

    assert [row["model"] for row in rows][-1] == "mood"
    assert set(rows[-1]["classes"]) == set(FAMILIES)
    assert rows[-1]["metrics"]["accuracy"] > rows[0]["metrics"]["accuracy"]
    assert 0 <= rows[-1]["metrics"]["ece"] <= 1
