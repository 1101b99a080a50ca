"""Batches of NCF's training: what is hidden, what competes, and the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audotics.models.ncf import Ncf
from audotics.training.ncf_batches import Histories, NcfBatch, softmax_loss

N_TRACKS = 30
HISTORIES = [np.asarray(history, np.int32) for history in ([3, 7, 1, 20], [5], [], [29, 0, 8, 9, 10, 11])]


@pytest.fixture
def model() -> Ncf:
    torch.manual_seed(0)
    network = Ncf(N_TRACKS, 8)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    return network.eval()


def draw(*, seed: int = 0, hidden_share: float = 0.5, n_candidates: int = N_TRACKS) -> NcfBatch:
    source = Histories(HISTORIES, N_TRACKS)
    rng = np.random.default_rng(seed)
    return source.batch(source.listeners, rng, hidden_share=hidden_share, n_candidates=n_candidates)


def kept_of(batch: NcfBatch, listener: int) -> dict[int, int]:
    """Age by track."""
    rows = slice(int(batch.offsets[listener]), int(batch.offsets[listener + 1]))
    return dict(zip(batch.kept[rows].tolist(), batch.age[rows].tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_every_track_is_either_kept_or_hidden(seed: int) -> None:
    batch = draw(seed=seed)

    for listener, history in enumerate(HISTORIES[row] for row in (0, 1, 3)):
        kept = kept_of(batch, listener)
        hidden = batch.hidden[batch.listener == listener].tolist()
        assert sorted([*kept, *hidden]) == sorted(history.tolist())
        assert all(history[len(history) - 1 - age] == track for track, age in kept.items())
    assert len(batch.hidden) > 0


def test_listeners_without_a_history_take_no_part() -> None:
    source = Histories(HISTORIES, N_TRACKS)

    assert source.listeners.tolist() == [0, 1, 3]
    assert source.pairs == 11


def test_something_is_hidden_even_where_the_share_is_nothing() -> None:
    assert len(draw(hidden_share=0.0).hidden) == 1


@pytest.mark.parametrize("n_candidates", [6, N_TRACKS, 100])
def test_kept_tracks_do_not_compete(n_candidates: int) -> None:
    batch = draw(n_candidates=n_candidates)

    assert len(set(batch.candidates.tolist())) == min(n_candidates, N_TRACKS)
    for listener in range(3):
        kept = kept_of(batch, listener)
        assert batch.closed[listener].tolist() == [track in kept for track in batch.candidates.tolist()]


def test_a_sample_of_candidates_stands_for_the_catalogue() -> None:
    batch = draw(n_candidates=6)

    shares = batch.log_share.exp().tolist()

    for listener in range(3):
        n_open = int((~batch.closed[listener]).sum())
        assert shares[listener] * n_open == pytest.approx(N_TRACKS - len(kept_of(batch, listener)), rel=1e-5)
    assert draw(n_candidates=N_TRACKS).log_share.tolist() == pytest.approx([0.0] * 3)


@pytest.mark.parametrize("deep", [True, False])
def test_the_loss_is_the_cross_entropy_against_all_that_is_not_kept(model: Ncf, *, deep: bool) -> None:
    if not deep:
        torch.nn.init.zeros_(model.output.weight)  # so that `scores` are those of the GMF branch alone
    with torch.no_grad():
        model.recency.fill_(1.0)
    batch = draw()
    losses = []
    for listener, hidden in zip(batch.listener.tolist(), batch.hidden.tolist(), strict=True):
        kept = list(kept_of(batch, listener))
        logits = model.scores([np.asarray(kept, np.int32)])[0].astype(np.float64)
        rivals = np.exp(np.delete(logits, kept)).sum()
        losses.append(np.log1p(rivals / np.exp(logits[hidden])))

    assert softmax_loss(model, batch, deep=deep).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_the_loss_of_a_sample_is_near_that_of_the_catalogue(model: Ncf) -> None:
    whole = np.mean([softmax_loss(model, draw(seed=seed)).item() for seed in range(100)])
    sampled = np.mean([softmax_loss(model, draw(seed=seed, n_candidates=10)).item() for seed in range(100)])

    assert sampled == pytest.approx(whole, rel=0.03)


def test_a_listener_who_keeps_every_candidate_gives_no_gradient_but_a_number(model: Ncf) -> None:
    source = Histories([np.arange(N_TRACKS)], N_TRACKS)
    batch = source.batch(np.asarray([0]), np.random.default_rng(0), hidden_share=0.0, n_candidates=3)

    loss = softmax_loss(model, batch)
    loss.backward()

    assert torch.isfinite(loss)
    assert torch.isfinite(model.gmf_track.weight.grad).all()


def test_without_depth_the_tower_learns_nothing(model: Ncf) -> None:
    softmax_loss(model, draw(), deep=False).backward()

    assert model.gmf_track.weight.grad.abs().sum() > 0
    assert model.mlp_track.weight.grad is None
    assert model.output.weight.grad is None
