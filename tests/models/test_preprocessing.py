"""Preprocessing: the same as scikit-learn's pipeline, with logarithms and holes, and to disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audotics.models.preprocessing import PREPROCESSING_FILE, Preprocessing


@pytest.fixture
def table() -> np.ndarray:
    """Six columns of both signs, the first two of which tell the classes of `labels` apart."""
    x = np.random.default_rng(0).normal(size=(60, 6)) * [1, 2, 3, 4, 5, 6]
    x[:, 0] += 3 * labels()
    x[:, 1] -= 3 * labels()
    return x


def labels() -> np.ndarray:
    return np.repeat([0, 1, 2], 20)


@pytest.mark.parametrize(
    ("target", "score"), [(labels(), f_classif), (labels() + np.linspace(0, 0.1, 60), f_regression)]
)
def test_it_is_what_scikit_learn_makes_of_the_same(table: np.ndarray, target: np.ndarray, score: object) -> None:
    ours = Preprocessing.fit(table, target, selected=4, components=3)
    theirs = make_pipeline(StandardScaler(), SelectKBest(score, k=4), PCA(3, svd_solver="full")).fit(table, target)

    assert ours.selected[:2].tolist() == [0, 1]
    np.testing.assert_allclose(ours.transform(table), theirs.transform(table), atol=1e-5)


def test_the_pipeline_put_together_from_arrays_gives_the_same(table: np.ndarray) -> None:
    ours = Preprocessing.fit(table, labels(), selected=4, components=3)

    np.testing.assert_allclose(ours.pipeline().transform(ours.completed(table)), ours.transform(table), atol=1e-5)


def test_all_columns_and_components_are_kept_unless_fewer_are_asked_for(table: np.ndarray) -> None:
    for selected in (None, 6, 100):
        whole = Preprocessing.fit(table, labels(), selected=selected, components=selected)
        assert (len(whole.selected), whole.n_components, whole.n_features) == (6, 6, 6)


def test_an_unknown_value_counts_as_the_mean(table: np.ndarray) -> None:
    holes = table.copy()
    holes[::7, 2] = np.nan
    fitted = Preprocessing.fit(holes, labels())
    filled = np.where(np.isnan(holes), np.nanmean(holes, axis=0), holes)

    np.testing.assert_allclose(fitted.transform(holes), fitted.transform(filled), atol=1e-6)
    assert np.isfinite(fitted.transform(np.full((1, 6), np.nan))).all()


def test_a_heavy_tailed_column_is_taken_as_its_logarithm(table: np.ndarray) -> None:
    heavy = table.copy()
    heavy[:, 3] = np.exp(table[:, 3])
    logged, plain = Preprocessing.fit(heavy, labels()), Preprocessing.fit(table, labels())

    assert np.flatnonzero(~np.isnan(logged.floor)).tolist() == [3]
    np.testing.assert_allclose(logged.transform(heavy), plain.transform(table), atol=1e-4)


def test_below_all_of_the_training_data_a_logarithm_stays_where_it_was(table: np.ndarray) -> None:
    heavy = table.copy()
    heavy[:, 3] = np.exp(table[:, 3])
    fitted = Preprocessing.fit(heavy, labels())
    lowest, none = heavy[[0, 0]].copy()
    lowest[3], none[3] = heavy[:, 3].min(), 0.0

    np.testing.assert_array_equal(fitted.transform(lowest[None]), fitted.transform(none[None]))


def test_columns_that_say_nothing_are_selected_last(table: np.ndarray) -> None:
    constant = table.copy()
    constant[:, 0] = 5.0
    constant[:, 5] = np.nan
    fitted = Preprocessing.fit(constant, labels(), selected=4)

    assert fitted.selected.tolist() == [1, 2, 3, 4]
    assert np.isfinite(Preprocessing.fit(constant, labels()).transform(constant)).all()


def test_it_comes_back_from_disk_equal(table: np.ndarray, tmp_path: Path) -> None:
    fitted = Preprocessing.fit(table, labels(), selected=4, components=2)
    fitted.save(tmp_path)

    np.testing.assert_array_equal(Preprocessing.load(tmp_path).transform(table), fitted.transform(table))


@pytest.mark.parametrize("size", [0, 100, 700])
def test_a_damaged_file_is_refused(table: np.ndarray, tmp_path: Path, size: int) -> None:
    Preprocessing.fit(table, labels()).save(tmp_path)
    path = tmp_path / PREPROCESSING_FILE
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(ValueError, match=r"preprocessing\.npz: is not a whole file"):
        Preprocessing.load(tmp_path)


def test_nothing_to_fit_on_is_refused() -> None:
    with pytest.raises(ValueError, match="without rows"):
        Preprocessing.fit(np.zeros((0, 3)), np.zeros(0))
