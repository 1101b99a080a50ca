"""The choice of collaborative factors, on catalogues that are decomposed whole and on ones that count as too large."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from audotics.data.synthetic import synthetic
from audotics.models.collaborative import CollaborativeModel, CollaborativeOptions
from audotics.training.collaborative import NEIGHBOURS, train_collaborative
from audotics.training.progress import Progress, Quiet
from audotics.training.run import Run, RunOptions, Split

OPTIONS = CollaborativeOptions(rank=16)


class Watcher(Progress, Protocol):
    """The fixture of that name."""

    @property
    def stages(self) -> list[tuple[str, int, int]]: ...


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    dataset = synthetic(n_tracks=150, n_users=120, seed=4)
    return Run.create(tmp_path_factory.mktemp("runs") / "run", dataset, RunOptions(seed=3)).split()


def test_beyond_what_is_decomposed_whole_the_better_of_spectrum_and_neighbours_is_kept(
    split: Split, watcher: Watcher
) -> None:
    large = train_collaborative(split, OPTIONS, search=True, seed=0, progress=watcher, dense_tracks=10)

    ((_, announced, done),) = watcher.stages
    assert announced == done
    held_out = split.validation
    assert large.score == pytest.approx(held_out.evaluate(large.selection.scores)["ndcg@10"])
    for neighbours in (0, NEIGHBOURS):
        plain = CollaborativeOptions(rank=16, neighbours=neighbours, l2=4.0, user_exponent=0.25, item_exponent=0.5)
        fitted = train_collaborative(split, plain, search=False, seed=0, progress=Quiet(), dense_tracks=10)
        assert fitted.options.neighbours == neighbours
        assert fitted.selection.track_vectors.shape == (len(split.tracks), 16)
        assert neighbours == 0 or large.score >= fitted.score


def test_a_small_catalogue_is_never_cut_to_neighbours(split: Split) -> None:
    assert not train_collaborative(split, OPTIONS, search=True, seed=0, progress=Quiet()).options.neighbours


def test_factored_neighbours_come_back_from_disk(split: Split, tmp_path: Path) -> None:
    options = CollaborativeOptions(rank=8, neighbours=20)
    fitted = train_collaborative(split, options, search=False, seed=0, progress=Quiet())

    fitted.final.save(tmp_path)
    back = CollaborativeModel.load(tmp_path, asdict(fitted.options))

    assert back.options == options
    np.testing.assert_array_equal(back.scores(split.training[:5]), fitted.final.scores(split.training[:5]))
    assert (fitted.final.scores(split.training[:5]) != fitted.selection.scores(split.training[:5])).any()
