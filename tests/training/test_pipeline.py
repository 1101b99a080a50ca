"""All kinds on a small synthetic run: what they leave on disk, what --resume keeps, and the comparison."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.synthetic import synthetic
from audotics.training.comparison import Comparison, compare
from audotics.training.ensemble import content_embeddings, load_ensemble, load_gate
from audotics.training.kinds import KINDS, WEIGHED
from audotics.training.pipeline import train
from audotics.training.progress import Progress, Quiet
from audotics.training.recipe import options_of
from audotics.training.run import Run, RunError, RunOptions

RECOMMENDERS = (*WEIGHED, "hybrid")
FLAGS = {
    "collaborative": {"rank": 32},
    "content": {"embedding_size": 8, "epochs": 1, "batch_size": 128},
    "ncf": {"embedding_size": 8, "epochs": 3, "pretrain_epochs": 2},
    "hybrid": {"epochs": 5, "candidates": 40},
}


class Watcher(Progress, Protocol):
    """The fixture of that name."""

    lines: list[str]

    @property
    def stages(self) -> list[tuple[str, int, int]]: ...


def create(path: Path, *, n_tracks: int = 120, n_users: int = 100) -> Run:
    return Run.create(path, synthetic(n_tracks=n_tracks, n_users=n_users, seed=4), RunOptions(seed=3))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with every kind that makes lists trained."""
    run = create(tmp_path_factory.mktemp("runs") / "run", n_tracks=300, n_users=150)
    train(run, RECOMMENDERS, FLAGS, resume=False, progress=Quiet())
    return run


@pytest.fixture(scope="module")
def comparison(run: Run) -> Comparison:
    return compare(run, progress=Quiet())


def test_every_kind_leaves_a_record(run: Run) -> None:
    records = Run.open(run.path).kinds

    assert tuple(records) == RECOMMENDERS
    assert all(record["seconds"] >= 0 for record in records.values())
    assert records["ncf"]["options"]["embedding_size"] == 8
    assert len(records["content"]["fit"]["losses"]) == 1
    assert 0 < records["collaborative"]["validation"]["ndcg@10"] <= 1
    assert 0 <= records["hybrid"]["validation"]["ece"] < 0.1


def test_the_search_chooses_a_rank_within_the_bound(run: Run) -> None:
    record = run.kinds["collaborative"]

    assert record["requested"]["factors"]["rank"] == 32
    assert record["options"]["rank"] <= 32


def test_the_models_can_be_loaded_again(run: Run) -> None:
    split = run.split()
    n = len(split.tracks)
    whole, selection = (load_ensemble(run, split, selection=which) for which in (False, True))

    assert content_embeddings(run).vectors.shape == (n, 8)
    history = split.training[0]
    scores = whole.scores(load_gate(run), [history])
    assert scores.shape == (1, n)
    assert np.isfinite(scores).all()
    assert (whole.collaborative.scores([history]) != selection.collaborative.scores([history])).any()
    assert (whole.ncf.scores([history]) != selection.ncf.scores([history])).any()
    assert whole.popularity.tolist() != selection.popularity.tolist()


def test_the_comparison_has_a_row_a_model(run: Run, comparison: Comparison) -> None:
    assert list(comparison.rows) == ["popularity", "item k-NN", "EASE", *RECOMMENDERS]
    for metrics in comparison.rows.values():
        assert list(metrics)[:2] == ["hr@10", "ndcg@10"]
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
        kind: comparison.rows[kind] for kind in RECOMMENDERS
    }


def test_resume_keeps_what_is_finished_and_trains_what_has_other_options(tmp_path: Path, watcher: Watcher) -> None:
    run, kinds = create(tmp_path / "run"), ("collaborative", "ncf")
    flags = {"collaborative": {"rank": 32, "search": False}, "ncf": FLAGS["ncf"]}
    first = train(run, kinds, flags, resume=False, progress=Quiet())
    longer = {**flags, "ncf": {**FLAGS["ncf"], "epochs": 4}}

    again = train(Run.open(run.path), kinds, longer, resume=True, progress=watcher)

    assert again["collaborative"] == first["collaborative"]
    assert watcher.lines[0] == "collaborative: kept, it was finished with the same options"
    assert any(line.startswith("ncf: resumed after epoch") for line in watcher.lines)
    before = first["ncf"]["fit"]["losses"]
    assert again["ncf"]["fit"]["losses"][: len(before)] == before


def test_without_search_the_options_are_taken_as_they_are(tmp_path: Path) -> None:
    wanted = {"rank": 7, "l2": 5.0, "item_exponent": 0.9}
    flags = {"collaborative": {"search": False, **wanted}}

    record = train(create(tmp_path / "run"), ["collaborative"], flags, resume=False, progress=Quiet())

    assert record["collaborative"]["options"].items() >= wanted.items()


@pytest.mark.parametrize("search", [False, True])
def test_progress_counts_every_step_it_announced(tmp_path: Path, watcher: Watcher, search: bool) -> None:
    run = create(tmp_path / "run")
    flags = {"collaborative": {"rank": 32, "search": search}, "ncf": {**FLAGS["ncf"], "epochs": 2, "patience": 2}}

    train(run, ["collaborative", "ncf"], flags, resume=False, progress=watcher)
    compare(run, progress=watcher)

    titles = [title for title, _, _ in watcher.stages]
    assert titles == [
        "collaborative",
        "ncf: GMF alone",
        "ncf",
        "ncf with the validation tracks: GMF alone",
        "ncf with the validation tracks",
        "evaluate",
    ]
    assert all(done == total > 0 for _, total, done in watcher.stages)


def test_the_hybrid_needs_the_others(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    train(run, ["collaborative"], {"collaborative": {"rank": 32, "search": False}}, resume=False, progress=Quiet())

    with pytest.raises(RunError, match=r"not trained yet: sequence, content, ncf; .*`audotics train all`"):
        train(run, ["hybrid"], FLAGS, resume=False, progress=Quiet())

    assert tuple(Run.open(run.path).kinds) == ("collaborative",)


def test_a_run_with_nothing_trained_compares_the_baselines(tmp_path: Path) -> None:
    comparison = compare(create(tmp_path / "run"), progress=Quiet())

    assert list(comparison.rows) == ["popularity", "item k-NN", "EASE"]


def test_an_option_that_a_kind_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"ncf has no such option: .*'layers'"):
        train(create(tmp_path / "run"), ["ncf"], {"ncf": {"layers": 3}}, resume=False, progress=Quiet())


def test_a_kind_that_the_data_do_not_suit_is_refused_before_any_work(tmp_path: Path) -> None:
    run = create(tmp_path / "run")

    with pytest.raises(RunError, match=r"is a run on listening, which mood cannot .*; it suits collaborative, "):
        train(run, ["collaborative", "mood"], resume=False, progress=Quiet())

    assert run.kinds == {}


def test_where_every_kind_would_be_left_out_the_first_reason_is_raised(tmp_path: Path, watcher: Watcher) -> None:
    bare = Run.create(tmp_path / "run", synthetic(n_tracks=120, n_users=100, seed=4), RunOptions(seed=3))

    with pytest.raises(DataError, match=r"no 200 of the .* tracks share a word"):
        train(bare, ["text"], {"text": {"min_tracks": 200}}, resume=False, progress=watcher, leave_out=True)

    assert watcher.lines == []


def test_every_kind_has_a_recipe_that_takes_its_flags() -> None:
    for kind in KINDS.values():
        options = options_of(kind.name, {})
        assert {*kind.flags} <= {*asdict(options)}, kind.name
