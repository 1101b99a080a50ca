"""The search of hyper-parameters: what it finds, what a second call goes on from, and what training makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from audotics.data.synthetic import synthetic
from audotics.training.pipeline import train
from audotics.training.progress import Quiet
from audotics.training.run import Run, RunError, RunOptions
from audotics.training.tuning import tune, tuned_flags


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", synthetic(n_tracks=120, n_users=100, seed=4), RunOptions(seed=3))


def test_the_best_trial_is_kept_and_can_be_trained_with(run: Run) -> None:
    tuned = tune(run, "sequence", trials=4, progress=Quiet())

    assert tuned.flags == tuned_flags(run.path, "sequence")
    record = train(run, ["sequence"], {"sequence": tuned.flags}, resume=False, progress=Quiet())["sequence"]
    assert record["options"].items() >= tuned.flags.items()
    assert record["validation"]["ndcg@10"] == pytest.approx(tuned.score)
    assert [path.name for path in (run.path / "tuning").iterdir() if path.is_dir()] == []


def test_a_longer_search_takes_up_a_shorter_one(run: Run, watcher) -> None:
    first = tune(run, "sequence", trials=2, progress=Quiet())
    longer = tune(run, "sequence", trials=5, progress=watcher)

    assert watcher.lines == ["sequence: 2 trials are in the journal"]
    assert longer.trials == 5
    assert longer.score >= first.score
    assert tune(run, "sequence", trials=3, progress=Quiet()).flags == longer.flags
    assert run.kinds == {}


def test_a_kind_without_a_score_cannot_be_tuned(run: Run) -> None:
    with pytest.raises(RunError, match="text cannot be tuned; those that can are collaborative"):
        tune(run, "text", trials=1, progress=Quiet())


def test_a_damaged_choice_is_named(run: Run) -> None:
    (run.path / "tuning").mkdir()
    (run.path / "tuning" / "ncf.json").write_text("{")

    assert tuned_flags(run.path, "sequence") == {}
    with pytest.raises(RunError, match=r"ncf\.json: cannot be read"):
        tuned_flags(run.path, "ncf")
