"""Refinement of a run's hybrid: what is kept, what stands in the record, and what a second one starts from."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audotics.data.dataset import DataError
from audotics.data.synthetic import synthetic
from audotics.models.hybrid import Gate, HybridOptions
from audotics.training.pipeline import train
from audotics.training.policy import PolicyOptions
from audotics.training.progress import Quiet
from audotics.training.refinement import UNREFINED, refine_hybrid
from audotics.training.run import Run, RunError, RunOptions
from tests.training.test_policy import CONTENT, simulate

OPTIONS = PolicyOptions(steps=30, learning_rate=0.02, limit=0.3, anchor=0.01)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with a gate over collaborative scores alone, which was measured."""
    run = Run.create(tmp_path / "run", synthetic(n_tracks=120, n_users=100, seed=4), RunOptions(seed=3))
    train(run, ["collaborative"], {"collaborative": {"rank": 16, "search": False}}, resume=False, progress=Quiet())
    torch.manual_seed(0)
    Gate(8).save(run.folder("hybrid"))
    options = HybridOptions(hidden=8, candidates=24)
    run.record("hybrid", {"options": asdict(options), "validation": {"ndcg@10": 0.1, "ece": 0.9}})
    run.record_metrics("hybrid", {"ndcg@10": 0.1})
    return run


def parameters(folder: Path) -> list[float]:
    return torch.nn.utils.parameters_to_vector(Gate.load(folder).parameters()).tolist()


def test_a_better_gate_replaces_the_first_and_is_calibrated(run: Run) -> None:
    folder = run.path / "hybrid"
    before, uncalibrated = parameters(folder), Gate.load(folder).calibration.tolist()
    logs = simulate(Gate.load(folder), 600, 1, pays=CONTENT)

    record = refine_hybrid(run, logs, OPTIONS, source="logs.parquet", progress=Quiet())

    rewards = Run.open(run.path).kinds["hybrid"]["rewards"]
    assert rewards == record["rewards"]
    assert rewards["kept"]
    assert (rewards["source"], rewards["decisions"]) == ("logs.parquet", 600)
    assert rewards["after"]["snips"]["estimate"] > rewards["before"]["snips"]["estimate"]
    assert parameters(folder) != before
    assert parameters(folder / UNREFINED) == before
    assert Gate.load(folder).calibration.tolist() != uncalibrated
    assert 0 <= record["validation"]["ece"] < 0.5
    assert "metrics" not in Run.open(run.path).kinds["hybrid"]


def test_what_is_no_better_is_dropped_and_said(run: Run) -> None:
    folder = run.path / "hybrid"
    before = parameters(folder)
    logs = simulate(Gate.load(folder), 600, 1, pays=CONTENT)
    # What paid in the earlier part costs in the later one, which judges.
    logs = replace(logs, rewards=np.where(np.arange(600) < 420, logs.rewards, 1 - logs.rewards))

    record = refine_hybrid(run, logs, OPTIONS, source="logs.parquet", progress=Quiet())

    assert not record["rewards"]["kept"]
    assert parameters(folder) == before
    assert record["validation"] == {"ndcg@10": 0.1, "ece": 0.9}


def test_a_second_refinement_starts_from_the_gate_as_it_was_trained(run: Run) -> None:
    folder = run.path / "hybrid"
    before = parameters(folder)
    logs = simulate(Gate.load(folder), 600, 1, pays=CONTENT)
    refine_hybrid(run, logs, OPTIONS, source="logs.parquet", progress=Quiet())
    once = parameters(folder)

    refine_hybrid(run, logs, OPTIONS, source="logs.parquet", progress=Quiet())

    assert parameters(folder) == once
    assert parameters(folder / UNREFINED) == before
    Gate(8).save(folder)
    trained_anew = parameters(folder)
    run.record("hybrid", {"options": run.kinds["hybrid"]["options"]})
    refine_hybrid(run, logs, OPTIONS, source="logs.parquet", progress=Quiet())
    assert parameters(folder / UNREFINED) == trained_anew


def test_it_needs_a_hybrid_and_enough_decisions(run: Run, tmp_path: Path) -> None:
    logs = simulate(Gate.load(run.path / "hybrid"), 10, 1, pays=CONTENT)

    with pytest.raises(DataError, match="needs 50 logged decisions, but there are 10"):
        refine_hybrid(run, logs, OPTIONS, source="logs.parquet", progress=Quiet())
    bare = Run.create(tmp_path / "bare", synthetic(n_tracks=120, n_users=100, seed=4), RunOptions())
    with pytest.raises(RunError, match="has no trained hybrid to refine"):
        refine_hybrid(bare, logs, OPTIONS, source="logs.parquet", progress=Quiet())
