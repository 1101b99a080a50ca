"""The genre classifier: probabilities, the pool of experts, and the way to disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audotics.models.boosted_trees import BoostedTrees
from audotics.models.genre import EXPERTS, Experts, GenreModel, GenreOptions, load, pooled
from audotics.models.preprocessing import Preprocessing
from tests.labelled import clouds

DATA = clouds()
POOL = np.asarray([4.0, 3.0, 0.5])


@pytest.fixture(scope="module", params=["without trees", "with trees"])
def model(request: pytest.FixtureRequest) -> GenreModel:
    preprocessing = Preprocessing.fit(DATA.x, DATA.labels, selected=5, components=4)
    points = preprocessing.transform(DATA.x)
    experts = Experts.fit(points, DATA.labels, 3, GenreOptions(anchors=50), seed=0)
    if request.param == "without trees":
        return GenreModel(DATA.feature_names, DATA.class_names, preprocessing, experts, POOL)
    trees = BoostedTrees.fit(DATA.x, DATA.labels, 3, rounds=4, seed=0)
    return GenreModel(DATA.feature_names, DATA.class_names, preprocessing, experts, np.append(POOL, 2.0), trees)


def test_probabilities_find_the_genres(model: GenreModel) -> None:
    new = clouds(seed=1)
    probabilities = model.probabilities(new.x)

    assert probabilities.shape == (90, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == new.labels).mean() > 0.9


def test_an_expert_without_weight_has_no_say() -> None:
    scores = np.random.default_rng(0).normal(size=(len(EXPERTS), 5, 4))

    for place in range(len(EXPERTS)):
        np.testing.assert_array_equal(pooled(scores, np.eye(len(EXPERTS))[place]), scores[place])


def test_unknown_features_are_borne(model: GenreModel) -> None:
    holes = np.where(np.random.default_rng(0).random(DATA.x.shape) < 0.3, np.nan, DATA.x)

    assert np.isfinite(model.probabilities(holes)).all()
    assert np.isfinite(model.probabilities(np.full((1, 6), np.nan))).all()


def test_it_comes_back_from_disk_equal(model: GenreModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    back = load(tmp_path)

    assert (back.feature_names, back.class_names) == (model.feature_names, model.class_names)
    np.testing.assert_array_equal(back.probabilities(DATA.x), model.probabilities(DATA.x))


@pytest.mark.parametrize("name", ["genre.npz", "preprocessing.npz"])
def test_a_damaged_or_missing_file_is_refused(model: GenreModel, tmp_path: Path, name: str) -> None:
    model.save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:200])
    with pytest.raises(ValueError, match=name):
        load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError):
        load(tmp_path)
