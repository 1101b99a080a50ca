"""NCF as a function of a history: its two ways to score, what must not matter, its loss, and disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audotics.features.history import PADDING, pad_histories
from audotics.models.ncf import Ncf, sampled_softmax_loss

N_TRACKS = 30


@pytest.fixture
def model() -> Ncf:
    """Random weights, large enough that every part of the network matters."""
    torch.manual_seed(0)
    network = Ncf(N_TRACKS, 8, dropout=0.5)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("weight"):
                parameter.normal_(std=0.3)
    return network.eval()


@pytest.fixture
def histories() -> list[np.ndarray]:
    return [np.asarray(history, np.int32) for history in ([3], [1, 2, 5, 8], [], [29, 0])]


def test_scores_have_a_row_a_listener_and_differ_between_them(model: Ncf, histories: list[np.ndarray]) -> None:
    scores = model.scores(histories)

    assert scores.shape == (4, N_TRACKS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert len(np.unique(scores.round(4), axis=0)) == 4


def test_scoring_pairs_agrees_with_scoring_all(model: Ncf, histories: list[np.ndarray]) -> None:
    gmf, mlp = model.listeners(torch.from_numpy(pad_histories(histories)))
    tracks = torch.tensor([4, 0, 29, 11])

    with torch.no_grad():
        pairs = model.pairs(gmf, mlp, tracks).numpy()
        every = model(gmf, mlp, tracks).numpy()

    np.testing.assert_allclose(pairs, np.diag(every), atol=1e-5)
    np.testing.assert_allclose(pairs, model.scores(histories)[np.arange(4), tracks.numpy()], atol=1e-5)


def test_the_order_of_a_history_does_not_matter(model: Ncf) -> None:
    history = np.asarray([1, 2, 5, 8, 13])

    np.testing.assert_allclose(model.scores([history]), model.scores([history[::-1]]), atol=1e-5)


def test_padding_does_not_matter(model: Ncf) -> None:
    short = torch.tensor([[5, 8]])
    padded = torch.tensor([[5, 8, PADDING, PADDING], [PADDING, 5, PADDING, 8]])

    for plain, long in zip(model.listeners(short), model.listeners(padded), strict=True):
        torch.testing.assert_close(long, plain.expand(2, -1))


def test_a_listener_is_scored_alone_as_in_company(model: Ncf, histories: list[np.ndarray]) -> None:
    together = model.scores(histories)

    for row, history in enumerate(histories):
        np.testing.assert_allclose(model.scores([history])[0], together[row], atol=1e-5)


def test_a_new_listener_gets_what_anybody_gets(model: Ncf) -> None:
    gmf, mlp = model.listeners(torch.tensor([[PADDING]]))

    assert not gmf.any()
    assert not mlp.any()


def test_scoring_switches_dropout_off(model: Ncf, histories: list[np.ndarray]) -> None:
    model.train()

    np.testing.assert_array_equal(model.scores(histories), model.scores(histories))


def test_a_saved_model_comes_back_equal(model: Ncf, histories: list[np.ndarray], tmp_path: Path) -> None:
    model.save(tmp_path)
    back = Ncf.load(tmp_path, {"embedding_size": 8})

    np.testing.assert_array_equal(back.scores(histories), model.scores(histories))


def loss_of(model: Ncf, *, heard: list[list[bool]], history: list[list[int]] | None = None) -> torch.Tensor:
    return sampled_softmax_loss(
        model,
        torch.tensor(history or [[5, 8, 4]]),
        torch.tensor([4]),
        torch.tensor([1, 2, 9]),
        torch.tensor(heard),
        history_dropout=0.0,
    )


def test_the_loss_is_the_cross_entropy_against_the_negatives(model: Ncf) -> None:
    logits = model.scores([np.asarray([5, 8])])[0, [4, 1, 2, 9]].astype(np.float64)
    expected = np.log(np.exp(logits).sum()) - logits[0]

    assert loss_of(model, heard=[[False, False, False]]).item() == pytest.approx(expected, abs=1e-5)


def test_the_positive_is_hidden_from_its_own_history(model: Ncf) -> None:
    with_it = loss_of(model, heard=[[False] * 3], history=[[5, 8, 4]])
    without = loss_of(model, heard=[[False] * 3], history=[[5, 8, PADDING]])

    torch.testing.assert_close(with_it, without)


def test_heard_negatives_do_not_count(model: Ncf) -> None:
    logits = model.scores([np.asarray([5, 8])])[0, [4, 1, 9]].astype(np.float64)
    expected = np.log(np.exp(logits).sum()) - logits[0]

    assert loss_of(model, heard=[[False, True, False]]).item() == pytest.approx(expected, abs=1e-5)


def test_the_padding_rows_get_no_gradient(model: Ncf) -> None:
    loss_of(model, heard=[[False] * 3], history=[[4, 5, PADDING]]).backward()

    assert not model.gmf_history.weight.grad[N_TRACKS].any()
    assert not model.mlp_history.weight.grad[N_TRACKS].any()
    assert model.gmf_track.weight.grad[4].any()
