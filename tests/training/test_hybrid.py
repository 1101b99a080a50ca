"""Training of the gate: who its examples are, what they hold, and data at the edge of too little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from audotics.data.dataset import DataError
from audotics.data.synthetic import synthetic
from audotics.evaluation.ranking import Holdout
from audotics.features.audio import AudioScaler
from audotics.features.content import Embeddings
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES
from audotics.features.tracks import TrackColumns
from audotics.models.hybrid import Ensemble, Gate, HybridOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.hybrid import LISTED, calibrate, calibration_error, train_hybrid
from audotics.training.hybrid_examples import collect_examples
from audotics.training.loop import Fit
from audotics.training.progress import Quiet

CONTENT = COMPONENTS.index("content")
LENGTH = CONTEXT_FEATURES.index("history_length")
HAS_CONTEXT = CONTEXT_FEATURES.index("has_context")
OPTIONS = HybridOptions(hidden=8, epochs=8, batch_size=16, learning_rate=0.02, candidates=24)


def ensemble_of(tracks: TrackColumns, vectors: np.ndarray) -> Ensemble:
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return Ensemble.build(
        tracks,
        scaler=AudioScaler.fit(tracks.audio),
        collaborative=None,
        ncf=None,
        content=Embeddings(unit, np.ones(len(unit), np.float32)),
    )


@pytest.fixture(scope="module")
def tasteful() -> tuple[Ensemble, Holdout]:
    """Content knows the two tastes of 150 listeners; popularity does not."""
    rng = np.random.default_rng(0)
    tracks = synthetic(n_tracks=100, n_users=60, seed=0).tracks
    vectors = rng.normal(scale=0.5, size=(100, 4)) + np.repeat([[3, 0, 0, 0], [0, 3, 0, 0]], 50, axis=0)
    heard = [rng.choice(50, 7, replace=False) + 50 * (user % 2) for user in range(150)]
    histories = [rows[:-1].astype(np.int32) for rows in heard]
    return ensemble_of(tracks, vectors), Holdout(histories, np.asarray([rows[-1] for rows in heard], np.int32))


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., tuple[Gate, Fit, dict[str, float]]]:
    def run(ensemble: Ensemble, holdout: Holdout, options: HybridOptions) -> tuple[Gate, Fit, dict[str, float]]:
        return train_hybrid(
            ensemble,
            holdout,
            options,
            seed=0,
            checkpoints=Checkpoints(tmp_path),
            resume=False,
            progress=Quiet(),
        )

    return run


def test_the_gate_learns_whom_to_trust_and_how_far(
    tasteful: tuple[Ensemble, Holdout], train: Callable[..., tuple[Gate, Fit, dict[str, float]]]
) -> None:
    ensemble, holdout = tasteful
    gate, result, measured = train(ensemble, holdout, OPTIONS)

    assert result.losses[-1] < result.losses[0]
    (inputs,) = ensemble.inputs(holdout.histories[:1])
    weights, _, confidence = gate.rank(inputs)
    spread = inputs.components.std(axis=0)
    assert (weights * spread)[:, CONTENT].mean() > (weights * spread)[:, COMPONENTS.index("popularity")].mean()
    assert confidence[:50].mean() > confidence[50:].mean()
    assert 0 <= measured["ece"] < 0.05
    assert measured["ndcg@10"] > 0.06  # at random among all tracks it is 0.05, among 50 of a taste 0.09
    of_taste = []
    for history, each in zip(holdout.histories, ensemble.inputs(holdout.histories), strict=True):
        score = gate.rank(each)[1].copy()
        score[history] = -np.inf
        best = np.argsort(-score)[:10]
        of_taste.append(((best < 50) == (history[0] < 50)).mean())
    assert np.mean(of_taste) > 0.95


def test_examples_put_the_held_out_track_first_among_tracks_not_heard(tasteful: tuple[Ensemble, Holdout]) -> None:
    ensemble, holdout = tasteful
    examples = collect_examples(ensemble, holdout, 24, seed=0, progress=Quiet())

    assert examples.components.shape[1:] == (24, len(COMPONENTS))
    assert set(examples.listeners.tolist()) == set(range(150))
    everything = ensemble.inputs(holdout.histories)
    plain = examples.unaltered()
    assert plain.listeners.tolist() == list(range(150))
    for index in range(20):
        listener = int(plain.listeners[index])
        known = everything[listener].components[:, CONTENT]
        target = known[holdout.targets[listener]]
        assert plain.components[index, 0, CONTENT].item() == pytest.approx(target)
        rivals = np.delete(known, [*holdout.histories[listener], holdout.targets[listener]])
        assert set(plain.components[index, 1:, CONTENT].tolist()) <= set(rivals.tolist())
        assert rivals.max() in plain.components[index, 1:, CONTENT]


def test_some_listeners_ask_and_some_are_hardly_known(tasteful: tuple[Ensemble, Holdout]) -> None:
    ensemble, holdout = tasteful
    examples = collect_examples(ensemble, holdout, 24, seed=0, progress=Quiet())
    lengths = torch.expm1(examples.context[:, 0, LENGTH] * 5).round().int()
    few = examples.take((lengths < 6).nonzero().squeeze(1))
    asked = examples.context[:, 0, HAS_CONTEXT] > 0

    assert set(lengths.tolist()) == {0, 1, 2, 3, 6}
    assert 12 < len(set(few.listeners.tolist())) < 36
    for known in range(4):
        alike = lengths == known
        assert 0 < int((alike & asked).sum()) <= int((alike & ~asked).sum())
    assert 15 < int((asked & (lengths == 6)).sum()) < 75
    everything = ensemble.inputs([history[-2:] for history in holdout.histories])
    for index in (lengths == 2).nonzero().squeeze(1).tolist():
        listener = int(examples.listeners[index])
        target = everything[listener].components[holdout.targets[listener], CONTENT]
        assert examples.components[index, 0, CONTENT].item() == pytest.approx(target)
    nothing = examples.available[lengths == 0]
    assert (nothing[..., CONTENT] == 0).all()
    assert (nothing[..., COMPONENTS.index("popularity")] == 1).all()


def test_the_candidates_stand_for_every_track_not_heard(tasteful: tuple[Ensemble, Holdout]) -> None:
    ensemble, holdout = tasteful
    examples = collect_examples(ensemble, holdout, 24, seed=0, progress=Quiet())

    assert (examples.multiplicity[:, 0] == 1).all()
    assert (examples.multiplicity >= 1).all()
    np.testing.assert_allclose(examples.multiplicity.sum(dim=1), 100 - 6, rtol=1e-5)


def test_all_lists_of_a_listener_stand_on_the_same_side(tasteful: tuple[Ensemble, Holdout]) -> None:
    ensemble, holdout = tasteful
    examples = collect_examples(ensemble, holdout, 24, seed=0, progress=Quiet())
    some = torch.tensor([3, 77, 140])
    chosen, others = examples.of(some), examples.of(torch.tensor(sorted(set(range(150)) - {3, 77, 140})))

    assert set(chosen.listeners.tolist()) == {3, 77, 140}
    assert len(chosen) + len(others) == len(examples) > 150


def test_calibration_finds_the_frequencies(tasteful: tuple[Ensemble, Holdout]) -> None:
    ensemble, holdout = tasteful
    examples = collect_examples(ensemble, holdout, 24, seed=0, progress=Quiet())
    torch.manual_seed(0)
    gate = Gate(8)
    before = calibration_error(gate, examples)
    calibrate(gate, examples)

    with torch.no_grad():
        score, confidence = examples.run(gate)
    listed = score.topk(LISTED, dim=1).indices
    promised, found = confidence.gather(1, listed).sum(dim=1).mean(), (listed == 0).sum(dim=1).float().mean()
    assert promised.item() == pytest.approx(found.item(), rel=0.01)
    assert calibration_error(gate, examples) < before / 5


@pytest.mark.parametrize("n_tracks", [4, 6, 12, 40])
def test_small_catalogues_with_eager_listeners(
    n_tracks: int, train: Callable[..., tuple[Gate, Fit, dict[str, float]]]
) -> None:
    """Listener u has left u mod n tracks unheard, beside the held-out one."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(n_tracks).astype(np.int32) for _ in range(60)]
    histories = [order[1 : n_tracks - user % n_tracks] for user, order in enumerate(orders)]
    holdout = Holdout(histories, np.asarray([order[0] for order in orders], np.int32))
    tracks = TrackColumns.build([str(row) for row in range(n_tracks)], plays=np.arange(n_tracks))

    gate, result, measured = train(ensemble_of(tracks, rng.normal(size=(n_tracks, 3))), holdout, OPTIONS)

    assert np.isfinite([*result.losses, *result.scores, measured["ece"]]).all()
    assert all(torch.isfinite(value).all() for value in gate.state_dict().values())


def test_too_few_listeners_are_refused(
    tasteful: tuple[Ensemble, Holdout], train: Callable[..., tuple[Gate, Fit, dict[str, float]]]
) -> None:
    ensemble, holdout = tasteful
    everything = [np.arange(1, 100, dtype=np.int32)] * 5
    few = Holdout([*holdout.histories[:9], *everything], np.asarray([*holdout.targets[:9], *[0] * 5], np.int32))

    with pytest.raises(DataError, match=r"needs 10 listeners .*but there are 9"):
        train(ensemble, few, OPTIONS)


def test_ten_listeners_are_enough(
    tasteful: tuple[Ensemble, Holdout], train: Callable[..., tuple[Gate, Fit, dict[str, float]]]
) -> None:
    ensemble, holdout = tasteful
    gate, _, measured = train(ensemble, Holdout(holdout.histories[:10], holdout.targets[:10]), OPTIONS)

    assert 0 <= measured["ece"] <= 1
    assert all(torch.isfinite(value).all() for value in gate.state_dict().values())
