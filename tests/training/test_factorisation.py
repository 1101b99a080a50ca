"""The choice of a factorisation: on validation tracks alone, told step by step, and readable afterwards."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from audotics.data.synthetic import synthetic
from audotics.models.collaborative import CollaborativeModel, CollaborativeOptions
from audotics.models.ials import IalsOptions
from audotics.models.neighbours import NeighboursOptions
from audotics.models.nmf import NmfOptions
from audotics.training.factorisation import (
    GRIDS,
    Options,
    load_algorithm,
    options_of_algorithm,
    train_factorisation,
)
from audotics.training.progress import Quiet
from audotics.training.run import Run, RunError, RunOptions, Split

SMALL: dict[str, Options] = {
    "ials": IalsOptions(rank=6, sweeps=2),
    "nmf": NmfOptions(rank=4, iterations=20),
    "neighbours": NeighboursOptions(neighbours=20),
}
every = pytest.mark.parametrize("algorithm", SMALL)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    dataset = synthetic(n_tracks=150, n_users=120, seed=5, mean_history=15)
    return Run.create(tmp_path_factory.mktemp("factorisation") / "run", dataset, RunOptions(k_core=3)).split()


@every
def test_the_search_finds_what_is_no_worse_than_the_start(split: Split, watcher, algorithm: str) -> None:
    start = SMALL[algorithm]
    alone = train_factorisation(split, start, search=False, seed=0, progress=watcher)
    searched = train_factorisation(split, start, search=True, seed=0, progress=watcher)

    assert searched.score >= alone.score
    assert searched.score == split.validation.evaluate(searched.selection.scores)["ndcg@10"]
    assert alone.score == split.validation.evaluate(alone.selection.scores)["ndcg@10"]
    assert alone.options == start
    for title, total, done in watcher.stages:
        assert (title, done) == (f"collaborative ({algorithm})", total)


@every
def test_only_what_the_grid_names_is_chosen(split: Split, algorithm: str) -> None:
    chosen = asdict(train_factorisation(split, SMALL[algorithm], search=True, seed=0, progress=Quiet()).options)
    grid = dict(GRIDS[algorithm])

    for name, value in asdict(SMALL[algorithm]).items():
        assert chosen[name] in grid.get(name, (value,))


@every
def test_the_selection_has_not_seen_the_validation_tracks(split: Split, algorithm: str) -> None:
    fit = train_factorisation(split, SMALL[algorithm], search=False, seed=0, progress=Quiet())

    assert split.validation.evaluate(fit.final.scores)["ndcg@10"] > fit.score


@every
def test_a_model_is_read_by_the_algorithm_of_its_options(split: Split, tmp_path: Path, algorithm: str) -> None:
    fit = train_factorisation(split, SMALL[algorithm], search=False, seed=0, progress=Quiet())
    fit.final.save(tmp_path)

    back = load_algorithm(tmp_path, asdict(fit.options))

    assert type(back) is type(fit.final)
    np.testing.assert_array_equal(back.scores(split.test.histories), fit.final.scores(split.test.histories))


@every
def test_options_have_the_defaults_of_their_algorithm(algorithm: str) -> None:
    options = options_of_algorithm(algorithm, {})

    assert options == type(SMALL[algorithm])()
    assert options.algorithm == algorithm


def test_options_without_an_algorithm_are_those_of_ease(tmp_path: Path) -> None:
    vectors = np.eye(3, dtype=np.float32)
    CollaborativeModel(vectors, vectors, CollaborativeOptions(rank=3)).save(tmp_path)

    assert isinstance(load_algorithm(tmp_path, {"rank": 3}), CollaborativeModel)


def test_flags_set_fields() -> None:
    assert options_of_algorithm("ials", {"rank": 12}) == IalsOptions(rank=12)


def test_an_algorithm_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"'svd'.*ials, nmf, neighbours"):
        options_of_algorithm("svd", {})
    with pytest.raises(RunError, match=r"None.*ease, ials, nmf, neighbours"):
        load_algorithm(tmp_path, {"algorithm": None})
