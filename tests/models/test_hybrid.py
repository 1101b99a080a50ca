"""The gate and the ensemble: the identities that serving and explanations rely on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.dataset import Dataset
from audotics.data.synthetic import synthetic
from audotics.evaluation.baselines import history_matrix
from audotics.features.audio import AudioScaler
from audotics.features.content import Embeddings
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES, HybridInputs, content_scores, context_scores
from audotics.models.collaborative import CollaborativeOptions, assemble, decompose
from audotics.models.hybrid import Ensemble, Gate
from audotics.models.ncf import Ncf
from audotics.models.sequence import SequenceOptions, count_transitions

N = len(COMPONENTS)
CONTEXT = COMPONENTS.index("context")
HAS_CONTEXT = CONTEXT_FEATURES.index("has_context")


@pytest.fixture(scope="module")
def gate() -> Gate:
    torch.manual_seed(0)
    gate = Gate(16)
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.normal_(std=0.3)
    gate.scale = torch.tensor([0.5, 3.0, 0.1, 1.0, 2.0, 0.2])
    gate.calibration = torch.tensor([0.7, -0.4, -1.0])
    return gate.eval()


def inputs_of(seed: int, n: int = 20) -> HybridInputs:
    rng = np.random.default_rng(seed)
    available = (rng.random((n, N)) < 0.6).astype(np.float32)
    components = rng.normal(scale=4, size=(n, N)).astype(np.float32) * available
    return HybridInputs(components, available, rng.normal(size=(n, len(CONTEXT_FEATURES))).astype(np.float32))


@given(st.integers(0, 10_000))
def test_a_score_is_the_sum_of_its_contributions(gate: Gate, seed: int) -> None:
    inputs = inputs_of(seed)
    weights, scores, _ = gate.rank(inputs)

    assert (weights >= 0).all()
    assert (weights[inputs.available == 0] == 0).all()
    assert (weights[inputs.available == 1] > 0).all()
    np.testing.assert_allclose(scores, (weights * inputs.components).sum(axis=1), rtol=1e-4, atol=1e-4)


@given(st.integers(0, 10_000))
def test_confidence_is_a_probability_that_grows_with_the_score(gate: Gate, seed: int) -> None:
    inputs = inputs_of(seed)
    same_listener = HybridInputs(
        inputs.components, inputs.available, np.repeat(inputs.context[:1], len(inputs.context), axis=0)
    )
    _, scores, confidence = gate.rank(same_listener)

    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert (np.diff(confidence[np.argsort(scores)]) >= -1e-6).all()


def test_with_no_model_available_the_score_is_zero(gate: Gate) -> None:
    weights, scores, confidence = gate.rank(
        HybridInputs(
            np.zeros((1, N), np.float32), np.zeros((1, N), np.float32), np.zeros((1, len(CONTEXT_FEATURES)), np.float32)
        )
    )

    assert not weights.any()
    assert scores.tolist() == [0]
    assert confidence.tolist() == [pytest.approx(1 / (1 + np.e))]


def test_rows_of_any_shape_are_scored_one_by_one(gate: Gate) -> None:
    inputs = inputs_of(3, n=12)
    _, flat, _ = gate.rank(inputs)

    with torch.no_grad():
        _, shaped, _ = gate(*(torch.from_numpy(value).reshape(3, 4, -1) for value in inputs.feeds().values()))

    np.testing.assert_allclose(shaped.numpy().ravel(), flat, atol=1e-5)


def test_a_saved_gate_comes_back_equal(gate: Gate, tmp_path: Path) -> None:
    gate.save(tmp_path)

    for actual, expected in zip(Gate.load(tmp_path).rank(inputs_of(1)), gate.rank(inputs_of(1)), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return synthetic(n_tracks=120, n_users=80, seed=1)


@pytest.fixture(scope="module")
def ensemble(dataset: Dataset) -> Ensemble:
    options = CollaborativeOptions(rank=8)
    matrix = history_matrix(dataset.interactions.histories(dataset.n_users), dataset.n_tracks)
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(dataset.n_tracks, 6)).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    return Ensemble.build(
        dataset.tracks,
        scaler=AudioScaler.fit(dataset.tracks.audio),
        collaborative=assemble(decompose(matrix, dataset.tracks, options), options),
        ncf=Ncf(dataset.n_tracks, 8).eval(),
        content=Embeddings(vectors / lengths[:, None], lengths),
        sequence=count_transitions(
            dataset.interactions.histories(dataset.n_users), dataset.n_tracks, SequenceOptions(neighbours=20)
        ),
    )


HISTORY = np.asarray([3, 14, 15, 92, 65, 35], np.int32)


def test_components_are_the_models_scores(ensemble: Ensemble) -> None:
    (inputs,) = ensemble.inputs([HISTORY])
    components = dict(zip(COMPONENTS, inputs.components.T, strict=True))

    np.testing.assert_array_equal(components["collaborative"], ensemble.collaborative.scores([HISTORY])[0])
    np.testing.assert_array_equal(components["ncf"], ensemble.ncf.scores([HISTORY])[0])
    content = content_scores(ensemble.content, ensemble.content.vectors[HISTORY])
    np.testing.assert_array_equal(components["content"], content)
    np.testing.assert_array_equal(components["popularity"], ensemble.popularity)
    np.testing.assert_array_equal(components["sequence"], ensemble.sequence.scores([HISTORY])[0])
    assert dict(zip(COMPONENTS, inputs.available.all(axis=0).tolist(), strict=True)) == {
        name: name != "context" for name in COMPONENTS
    }


def test_only_popularity_knows_a_new_listener(ensemble: Ensemble) -> None:
    inputs = ensemble.inputs([HISTORY, np.zeros(0, np.int32)])[1]

    assert [name for column, name in enumerate(COMPONENTS) if inputs.available[:, column].any()] == ["popularity"]
    assert (inputs.context[:, CONTEXT_FEATURES.index("cold_listener")] == 1).all()


def test_models_that_are_not_there_have_no_opinion(dataset: Dataset) -> None:
    alone = Ensemble.build(
        dataset.tracks, scaler=AudioScaler.fit(dataset.tracks.audio), collaborative=None, ncf=None, content=None
    )
    (inputs,) = alone.inputs([HISTORY])

    assert [name for column, name in enumerate(COMPONENTS) if inputs.available[:, column].any()] == ["popularity"]


@pytest.mark.parametrize(("mood", "genres"), [("party", ()), (None, ("rock",)), ("chill", ("jazz", "pop"))])
@pytest.mark.parametrize("history", [HISTORY, np.zeros(0, np.int32)], ids=["known listener", "new listener"])
def test_a_context_changes_the_context_alone(
    ensemble: Ensemble, history: np.ndarray, mood: str | None, genres: tuple[str, ...]
) -> None:
    (plain,) = ensemble.inputs([history])
    asked = ensemble.with_context(plain, mood=mood, genres=genres)

    expected = context_scores(ensemble.moods, ensemble.genre_fits, mood=mood, wanted_genres=genres)
    np.testing.assert_array_equal(asked.components[:, CONTEXT], expected)
    assert (asked.available[:, CONTEXT] == 1).all()
    assert (asked.context[:, HAS_CONTEXT] == 1).all()
    np.testing.assert_array_equal(
        np.delete(asked.components, CONTEXT, axis=1), np.delete(plain.components, CONTEXT, axis=1)
    )
    np.testing.assert_array_equal(
        np.delete(asked.available, CONTEXT, axis=1), np.delete(plain.available, CONTEXT, axis=1)
    )
    np.testing.assert_array_equal(
        np.delete(asked.context, HAS_CONTEXT, axis=1), np.delete(plain.context, HAS_CONTEXT, axis=1)
    )


def test_tracks_that_nobody_has_heard_keep_content_and_context_alone(ensemble: Ensemble) -> None:
    (plain,) = ensemble.inputs([HISTORY])
    unheard = np.zeros(120, np.bool_)
    unheard[[7, 50]] = True
    inputs = ensemble.with_unheard(ensemble.with_context(plain, mood="party", genres=()), unheard)

    known = {name: inputs.available[unheard, column].all() for column, name in enumerate(COMPONENTS)}
    assert known == {
        "collaborative": False,
        "ncf": False,
        "content": True,
        "context": True,
        "popularity": True,
        "sequence": False,
    }
    assert (inputs.components[unheard, COMPONENTS.index("popularity")] == 0).all()
    assert (inputs.context[unheard, CONTEXT_FEATURES.index("cold_track")] == 1).all()
    asked = ensemble.with_context(plain, mood="party", genres=())
    for name, values in inputs.feeds().items():
        np.testing.assert_array_equal(values[~unheard], asked.feeds()[name][~unheard])


def test_the_hybrids_scores_are_the_gates(ensemble: Ensemble, gate: Gate) -> None:
    histories = [HISTORY, HISTORY[:2]]
    scores = ensemble.scores(gate, histories)

    assert scores.shape == (2, 120)
    for row, inputs in enumerate(ensemble.inputs(histories)):
        np.testing.assert_array_equal(scores[row], gate.rank(inputs)[1])
