"""NCF as a function of a history: its ways to score, what must and must not matter, attributes, and disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audotics.features.history import PADDING, pad_histories
from audotics.models.attributes import Attributes
from audotics.models.ncf import LEAST_NEGATIVES, RECENCY_STEPS, TABLES, Ncf, NcfOptions, recency_step

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


def test_without_recency_weights_the_order_of_a_history_does_not_matter(model: Ncf) -> None:
    history = np.asarray([1, 2, 5, 8, 13])

    np.testing.assert_allclose(model.scores([history]), model.scores([history[::-1]]), atol=1e-5)


def test_the_last_track_counts_by_its_own_weight(model: Ncf) -> None:
    """With the weights 0 but for the last track's 1, the rest of a history only counts in its length."""
    with torch.no_grad():
        model.recency.zero_()
        model.recency[0] = 1.0

    both, alone = model.listeners(torch.tensor([[1, 8], [8, PADDING]]))[0]

    torch.testing.assert_close(both, alone / 2**0.5)


def test_ages_share_weights_in_steps_that_double() -> None:
    steps = recency_step(torch.tensor([0, 1, 2, 3, 6, 7, 254, 255, 100_000]))

    assert steps.tolist() == [0, 1, 1, 2, 2, 3, 7, 8, RECENCY_STEPS - 1]


def test_only_the_end_of_a_history_is_scored_by_unless_more_is_asked_for(model: Ncf) -> None:
    history = np.arange(N_TRACKS)

    np.testing.assert_allclose(
        model.scores([history], max_history=5), model.scores([history[-5:]]), rtol=1e-5, atol=1e-5
    )
    assert np.abs(model.scores([history], max_history=5) - model.scores([history])).max() > 0.01


def test_padding_does_not_matter(model: Ncf) -> None:
    with torch.no_grad():
        model.recency.uniform_(0.5, 2.0)
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


@pytest.fixture
def with_attributes() -> Ncf:
    """Tracks 0 .. 9 share attribute 0, tracks 5 .. 14 share attribute 1; attributes count a half."""
    rows = [[code for code, first in ((0, 0), (1, 5)) if first <= track < first + 10] for track in range(N_TRACKS)]
    attributes = Attributes(
        ("artist:a", "tag:b"),
        np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        np.asarray([code for row in rows for code in row], np.int64),
        np.full(sum(map(len, rows)), 0.5, np.float32),
    )
    torch.manual_seed(1)
    network = Ncf(N_TRACKS, 8, attributes=attributes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    return network.eval()


def test_attributes_are_added_to_the_tracks_that_carry_them(with_attributes: Ncf) -> None:
    assert with_attributes.shared is not None
    for name in TABLES:
        own, shared = getattr(with_attributes, name).weight, with_attributes.shared.tables[name]
        table = with_attributes.table(name)
        torch.testing.assert_close(table[0], own[0] + shared[0] / 2)
        torch.testing.assert_close(table[7], own[7] + shared[0] / 2 + shared[1] / 2)
        torch.testing.assert_close(table[20], own[20])


def test_folding_attributes_in_changes_no_score(
    with_attributes: Ncf, histories: list[np.ndarray], tmp_path: Path
) -> None:
    gmf, mlp = with_attributes.listeners(torch.from_numpy(pad_histories(histories)))
    with torch.no_grad():
        expected = with_attributes(gmf, mlp, torch.arange(N_TRACKS)).numpy()

    with_attributes.save(tmp_path)
    back = Ncf.load(tmp_path, {"embedding_size": 8})

    assert back.shared is None
    for network in (with_attributes, with_attributes.folded(), back):
        np.testing.assert_allclose(network.scores(histories), expected, atol=1e-5)


def test_a_small_catalogue_has_fewer_negatives() -> None:
    options = NcfOptions(negatives=256)

    assert options.drawn(100_000) == 256
    assert options.drawn(1_000) == 125
    assert options.drawn(30) == LEAST_NEGATIVES
    assert NcfOptions(negatives=16).drawn(30) == 16
