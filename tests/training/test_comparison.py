"""The comparison of a run's models with baselines, and what it says beyond its table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audotics.data.synthetic import synthetic
from audotics.evaluation.metrics import ndcg
from audotics.evaluation.ranking import full_ranking
from audotics.evaluation.results import Comparison
from audotics.models.hybrid import Gate
from audotics.training.comparison import compare
from audotics.training.pipeline import train
from audotics.training.progress import Quiet
from audotics.training.run import Run, RunOptions
from audotics.training.scorers import HybridScorer, catalogue_scorers, core_scorers

FLAGS = {"collaborative": {"rank": 32, "search": False}, "content": {"embedding_size": 8, "epochs": 1}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Collaborative factors and transitions, and a gate that nobody has trained."""
    data = synthetic(n_tracks=200, n_users=120, seed=4)
    run = Run.create(tmp_path_factory.mktemp("runs") / "run", data, RunOptions(seed=3, k_core=8))
    train(run, ["collaborative", "sequence"], FLAGS, resume=False, progress=Quiet())
    Gate(8).save(run.folder("hybrid"))
    run.record("hybrid", {"options": {}})
    return run


@pytest.fixture(scope="module")
def comparison(run: Run) -> Comparison:
    return compare(run, progress=Quiet())


def test_ratios_are_over_ease_and_hold_the_quotient(comparison: Comparison) -> None:
    assert comparison.baseline == "EASE"
    assert comparison.results["EASE"].ratio is None
    reference = comparison.rows["EASE"]["ndcg@10"]
    for model, result in comparison.results.items():
        assert result.interval.low <= result.interval.estimate <= result.interval.high
        assert result.interval.estimate == pytest.approx(result.metrics["ndcg@10"])
        if model != "EASE":
            assert result.ratio is not None
            assert result.ratio.low <= result.ratio.estimate <= result.ratio.high
            assert result.ratio.estimate == pytest.approx(result.metrics["ndcg@10"] / reference)


def test_every_model_is_measured_in_every_way(run: Run, comparison: Comparison) -> None:
    for model, result in comparison.results.items():
        assert list(result.metrics)[:2] == ["hr@10", "ndcg@10"]
        names = {name.partition("@")[0] for name in result.metrics} - {"ece"}
        assert names == {
            *("hr", "ndcg", "precision", "recall", "map", "mrr"),
            *("coverage", "gini", "novelty", "diversity", "artist_fairness"),
        }
        for groups in result.bias.values():
            assert sum(group.count for group in groups) == len(run.split().test.targets)
        assert ("ece" in result.metrics) == bool(result.reliability) == (model == "hybrid")
    popular = comparison.rows["popularity"]
    assert popular["novelty@10"] == min(row["novelty@10"] for row in comparison.rows.values())
    assert popular["gini@10"] == max(row["gini@10"] for row in comparison.rows.values())


def test_the_json_has_intervals_ratios_and_bias(comparison: Comparison) -> None:
    document = json.loads(json.dumps(comparison.to_json()))

    assert document["baseline"] == "EASE"
    rows = {row["model"]: row for row in document["rows"]}
    assert list(rows) == list(comparison.rows)
    assert set(rows["EASE"]) == {"model", "metrics", "intervals", "bias"}
    assert set(rows["hybrid"]) == {"model", "metrics", "intervals", "bias", "ratios", "reliability"}
    assert rows["hybrid"]["ratios"]["ndcg@10"]["low"] <= rows["hybrid"]["ratios"]["ndcg@10"]["high"]


def test_beyond_the_bound_the_strongest_baseline_stands_for_ease(run: Run) -> None:
    comparison = compare(run, k=5, baseline_tracks=10, progress=Quiet())

    assert list(comparison.rows) == ["popularity", "collaborative", "sequence", "hybrid"]
    assert comparison.baseline == "popularity"
    assert "ndcg@5" in comparison.rows["collaborative"]
    assert run.kinds["collaborative"]["metrics"] == comparison.rows["collaborative"]


def test_the_hybrids_confidence_goes_with_its_scores(run: Run) -> None:
    split = run.split()
    scorer = core_scorers(run, split)["hybrid"]()

    assert isinstance(scorer, HybridScorer)
    scores, confidence = scorer.with_confidence(split.test.histories[:3])
    np.testing.assert_array_equal(scores, scorer(split.test.histories[:3]))
    assert confidence.shape == scores.shape == (3, len(split.tracks))
    for row in range(3):
        assert (np.diff(confidence[row][np.argsort(scores[row])]) >= 0).all()


def test_over_the_whole_catalogue_the_core_keeps_its_order(run: Run) -> None:
    """Tracks outside the core stand behind, and what a listener heard of them does not count."""
    split, counts = run.split(), run.counts
    outside = np.setdiff1d(np.arange(counts["tracks"]), split.rows).astype(np.int32)
    assert len(outside)
    histories = [split.rows[history].astype(np.int32) for history in split.test.histories[:4]]
    histories[0] = np.concatenate([outside[:2], histories[0]])
    core, whole = core_scorers(run, split), catalogue_scorers(run)

    scores = whole["collaborative"]()(histories)

    assert scores.shape == (4, counts["tracks"])
    np.testing.assert_array_equal(scores[:, split.rows], core["collaborative"]()(split.test.histories[:4]))
    assert (scores[:, outside] < scores[:, split.rows].min(axis=1, keepdims=True)).all()


def test_the_hybrid_scores_the_core_alike_over_the_whole_catalogue(run: Run) -> None:
    split = run.split()
    histories = [split.rows[history].astype(np.int32) for history in split.test.histories[:4]]
    core, whole = core_scorers(run, split)["hybrid"](), catalogue_scorers(run)["hybrid"]()

    scores = whole(histories)

    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[:, split.rows], core(split.test.histories[:4]), rtol=1e-4, atol=1e-5)


def test_content_knows_tracks_outside_the_core(tmp_path: Path) -> None:
    data = synthetic(n_tracks=150, n_users=60, seed=5)
    run = Run.create(tmp_path / "run", data, RunOptions(k_core=8))
    split = run.split()
    outside = np.setdiff1d(np.arange(run.counts["tracks"]), split.rows)
    assert len(outside)
    train(run, ["content"], FLAGS, resume=False, progress=Quiet())
    histories = [split.rows[history].astype(np.int32) for history in split.test.histories]
    core, whole = core_scorers(run, split)["content"](), catalogue_scorers(run)["content"]()

    scores = whole(histories)

    np.testing.assert_allclose(scores[:, split.rows], core(split.test.histories), atol=1e-5)
    assert len(np.unique(scores[0, outside])) > 1
    ranks = full_ranking(whole, histories, split.rows[split.test.targets])
    assert 0 < ndcg(ranks, 10).mean() < 1
