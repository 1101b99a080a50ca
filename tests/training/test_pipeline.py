"""All kinds on a small synthetic run: what they leave on disk, what --resume keeps, and the comparison."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from audotics.data.synthetic import synthetic
from audotics.models.collaborative import CollaborativeOptions
from audotics.models.hybrid import HybridOptions
from audotics.models.ncf import NcfOptions
from audotics.training.comparison import Comparison, compare
from audotics.training.pipeline import (
    KINDS,
    ContentSettings,
    TrainingOptions,
    content_vectors,
    load_ensemble,
    load_gate,
    train,
)
from audotics.training.progress import Progress, Quiet
from audotics.training.run import Run, RunError, RunOptions

OPTIONS = TrainingOptions(
    collaborative=CollaborativeOptions(rank=32),
    content=ContentSettings(embedding_size=8, epochs=1, batch_size=128),
    ncf=NcfOptions(embedding_size=8, epochs=3, batch_size=256),
    hybrid=HybridOptions(epochs=5, candidates=40),
)


class Watcher(Progress, Protocol):
    """The fixture of that name."""

    lines: list[str]

    @property
    def stages(self) -> list[tuple[str, int, int]]: ...


def create(path: Path, *, n_tracks: int = 120, n_users: int = 100) -> Run:
    return Run.create(path, synthetic(n_tracks=n_tracks, n_users=n_users, seed=4), RunOptions(seed=3))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with every kind trained."""
    run = create(tmp_path_factory.mktemp("runs") / "run", n_tracks=300, n_users=150)
    train(run, KINDS, OPTIONS, resume=False, progress=Quiet())
    return run


@pytest.fixture(scope="module")
def comparison(run: Run) -> Comparison:
    return compare(run, progress=Quiet())


def test_every_kind_leaves_a_record(run: Run) -> None:
    records = Run.open(run.path).kinds

    assert tuple(records) == KINDS
    assert all(record["seconds"] >= 0 for record in records.values())
    assert records["ncf"]["options"]["embedding_size"] == 8
    assert len(records["content"]["fit"]["losses"]) == 1
    assert 0 < records["collaborative"]["validation"]["ndcg@10"] <= 1
    assert 0 <= records["hybrid"]["validation"]["ece"] < 0.1


def test_the_search_chooses_a_rank_within_the_bound(run: Run) -> None:
    record = run.kinds["collaborative"]

    assert record["requested"]["rank"] == 32
    assert record["options"]["rank"] <= 32


def test_the_models_can_be_loaded_again(run: Run) -> None:
    split = run.split()
    n = len(split.tracks)
    whole, selection = (load_ensemble(run, split, selection=which) for which in (False, True))

    assert content_vectors(run).shape == (n, 8)
    history = split.training[0]
    scores = whole.scores(load_gate(run), [history])
    assert scores.shape == (1, n)
    assert np.isfinite(scores).all()
    assert (whole.collaborative.scores([history]) != selection.collaborative.scores([history])).any()
    assert (whole.ncf.scores([history]) != selection.ncf.scores([history])).any()
    assert whole.popularity.tolist() != selection.popularity.tolist()


def test_the_comparison_has_a_row_a_model(run: Run, comparison: Comparison) -> None:
    assert list(comparison.rows) == ["popularity", "item k-NN", "EASE", *KINDS]
    for metrics in comparison.rows.values():
        assert set(metrics) == {"hr@10", "ndcg@10"}
        assert 0 <= metrics["ndcg@10"] <= metrics["hr@10"] <= 1
    assert comparison.protocol["listeners"] == len(run.split().test.targets)
    assert "5-core, seed 3" in comparison.protocol["split"]
    document = json.loads(json.dumps(comparison.to_json()))
    assert {row["model"]: row["metrics"] for row in document["rows"]} == comparison.rows


def test_what_was_trained_beats_popularity(comparison: Comparison) -> None:
    ndcg = {model: metrics["ndcg@10"] for model, metrics in comparison.rows.items()}

    assert ndcg["collaborative"] > ndcg["popularity"]
    assert ndcg["hybrid"] > ndcg["popularity"]


def test_the_comparison_writes_metrics_into_the_run(run: Run, comparison: Comparison) -> None:
    records = Run.open(run.path).kinds

    assert {kind: record["metrics"] for kind, record in records.items()} == {
        kind: comparison.rows[kind] for kind in KINDS
    }


def test_resume_keeps_what_is_finished_and_trains_what_has_other_options(tmp_path: Path, watcher: Watcher) -> None:
    run, kinds = create(tmp_path / "run"), ("collaborative", "ncf")
    first = train(run, kinds, replace(OPTIONS, search=False), resume=False, progress=Quiet())
    longer = replace(OPTIONS, search=False, ncf=replace(OPTIONS.ncf, epochs=4))

    again = train(Run.open(run.path), kinds, longer, resume=True, progress=watcher)

    assert again["collaborative"] == first["collaborative"]
    assert watcher.lines[:2] == [
        "collaborative: kept, it was finished with the same options",
        "ncf: resumed after epoch 3",
    ]
    assert again["ncf"]["fit"]["losses"][:3] == first["ncf"]["fit"]["losses"]
    assert len(again["ncf"]["fit"]["losses"]) == 4


def test_without_search_the_options_are_taken_as_they_are(tmp_path: Path) -> None:
    wanted = CollaborativeOptions(rank=7, l2=5.0, item_exponent=0.9)
    options = replace(OPTIONS, collaborative=wanted, search=False)

    record = train(create(tmp_path / "run"), ["collaborative"], options, resume=False, progress=Quiet())

    assert record["collaborative"]["options"] == asdict(wanted)


@pytest.mark.parametrize("search", [False, True])
def test_progress_counts_every_step_it_announced(tmp_path: Path, watcher: Watcher, search: bool) -> None:
    run = create(tmp_path / "run")
    ncf = replace(OPTIONS.ncf, epochs=2, patience=2)

    train(run, ["collaborative", "ncf"], replace(OPTIONS, ncf=ncf, search=search), resume=False, progress=watcher)
    compare(run, progress=watcher)

    titles = [title for title, _, _ in watcher.stages]
    assert titles == ["collaborative", "ncf", "ncf with the validation tracks", "evaluate"]
    assert all(done == total > 0 for _, total, done in watcher.stages)


def test_the_hybrid_needs_the_others(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    train(run, ["collaborative"], replace(OPTIONS, search=False), resume=False, progress=Quiet())

    with pytest.raises(RunError, match=r"not trained yet: content, ncf; .*`audotics train all`"):
        train(run, ["hybrid"], OPTIONS, resume=False, progress=Quiet())

    assert tuple(Run.open(run.path).kinds) == ("collaborative",)


def test_a_run_with_nothing_trained_compares_the_baselines(tmp_path: Path) -> None:
    comparison = compare(create(tmp_path / "run"), progress=Quiet())

    assert list(comparison.rows) == ["popularity", "item k-NN", "EASE"]
