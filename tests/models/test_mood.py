"""The mood network: rules it starts from, what is unknown, families and their moods, and the way to disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.descriptors import DESCRIPTORS
from audotics.features.moods import MOOD_WEIGHTS, MOODS, mood_weight_matrix
from audotics.models.mood import FAMILIES, FAMILY_OF, MoodModel, MoodNetwork, MoodOptions, build, family_matrix, load

OPTIONS = MoodOptions(thresholds=3, hidden=4)
MEMBERS = 5
MODE = DESCRIPTORS.index("mode")


def table(n: int = 80) -> np.ndarray:
    """Tracks of the audio features and what else is known; nobody knows the mode."""
    x = np.random.default_rng(0).normal(0.5, 0.2, (n, len(DESCRIPTORS)))
    x[:, MODE] = np.nan
    return x


@pytest.fixture(scope="module")
def network() -> MoodNetwork:
    return build(table(), DESCRIPTORS, OPTIONS, members=MEMBERS, seed=0)


@pytest.fixture
def untaught() -> MoodModel:
    """A model to which labels have added nothing."""
    network = build(table(), DESCRIPTORS, OPTIONS, members=MEMBERS, seed=0)
    learnt = network.moods.get_layer("learnt")
    learnt.set_weights([np.zeros_like(value) for value in learnt.get_weights()])
    return MoodModel(network.moods, DESCRIPTORS)


def test_every_mood_has_a_family_and_every_family_a_mood() -> None:
    assert set(FAMILY_OF) == set(MOODS) == set(MOOD_WEIGHTS)
    assert set(FAMILY_OF.values()) == set(FAMILIES)
    assert family_matrix().sum(axis=1).tolist() == [1] * 8
    assert sorted(FAMILIES) == list(FAMILIES)


def test_without_labels_the_rules_decide(untaught: MoodModel) -> None:
    x = table()
    audio = x[:, : len(AUDIO_FEATURES)].copy()
    audio[:, MODE] = 0.5
    centred = audio - audio.mean(axis=0)
    spread = np.where(np.arange(len(AUDIO_FEATURES)) == MODE, 1.0, audio.std(axis=0))
    scores = np.clip(centred / spread, -4, 4) @ mood_weight_matrix()

    np.testing.assert_allclose(untaught.probabilities(x), softmax(scores, axis=1), atol=1e-4)


def test_a_feature_that_labelled_tracks_lack_is_left_to_the_rules(network: MoodNetwork) -> None:
    minor, major = table()[:1].repeat(2, axis=0)
    minor[MODE], major[MODE] = 0.0, 1.0
    logits = np.asarray(network.members(np.stack([minor, major]).astype(np.float32)))
    moods = MoodModel(network.moods, DESCRIPTORS).probabilities(np.stack([minor, major]))
    happy, melancholic = MOODS.index("happy"), MOODS.index("melancholic")

    np.testing.assert_allclose(np.ptp(logits[0] - logits[1], axis=0), 0, atol=1e-5)
    assert moods[1, happy] / moods[1, melancholic] > moods[0, happy] / moods[0, melancholic]


def test_labels_decide_between_families_and_rules_within_them(network: MoodNetwork, untaught: MoodModel) -> None:
    taught = MoodModel(network.moods, DESCRIPTORS)
    x = table()
    moods, families = taught.probabilities(x), taught.families(x)
    by_rules, families_by_rules = untaught.probabilities(x), untaught.families(x)
    spread = family_matrix().T

    assert np.abs(families - families_by_rules).max() > 0.01
    np.testing.assert_allclose(families.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(moods / (families @ spread), by_rules / (families_by_rules @ spread), atol=1e-4)


def test_temperature_flattens_families_and_leaves_what_is_within(untaught: MoodModel) -> None:
    x = table()
    before, moods = untaught.families(x), untaught.probabilities(x)
    untaught.network.get_layer("probabilities").temperature.assign(5.0)
    after = untaught.families(x)

    assert (after.max(axis=1) < before.max(axis=1)).all()
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    spread = family_matrix().T
    np.testing.assert_allclose(untaught.probabilities(x) / (after @ spread), moods / (before @ spread), atol=1e-4)


def test_what_is_unknown_is_neither_above_nor_below(network: MoodNetwork) -> None:
    model = MoodModel(network.moods, DESCRIPTORS)
    probabilities = model.probabilities(np.full((2, len(DESCRIPTORS)), np.nan))

    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    codes = network.moods.get_layer("thermometer")(
        np.full((1, 14), np.nan, np.float32), np.zeros((1, 14), np.float32), np.zeros((1, 14), np.float32)
    )
    assert not np.asarray(codes).any()


def test_members_differ_and_see_thresholds_of_the_data(network: MoodNetwork) -> None:
    used, thresholds = network.moods.get_layer("thermometer").get_weights()
    logits = np.asarray(network.members(table().astype(np.float32)))

    assert used.tolist() == [float(name != "mode") for name in DESCRIPTORS]
    known = np.delete(thresholds, MODE, axis=1)
    assert (np.diff(known, axis=2) > 0).all()
    assert np.nanmin(table()) <= known.min() < known.max() <= np.nanmax(table())
    assert logits.shape == (80, MEMBERS, 4)
    assert logits.std(axis=1).min() > 0
    for layer in ("hidden", "learnt"):
        kernel, _ = network.moods.get_layer(layer).get_weights()
        assert np.abs(kernel[0] - kernel[1]).min() > 0


def test_no_track_gives_no_row(network: MoodNetwork) -> None:
    assert MoodModel(network.moods, DESCRIPTORS).probabilities(np.zeros((0, 14))).shape == (0, 8)


def test_it_comes_back_from_disk_equal(network: MoodNetwork, tmp_path: Path) -> None:
    model = MoodModel(network.moods, DESCRIPTORS)
    model.save(tmp_path)
    back = load(tmp_path)

    assert back.feature_names == DESCRIPTORS
    np.testing.assert_array_equal(back.probabilities(table()), model.probabilities(table()))


@pytest.mark.parametrize("name", ["model.keras", "mood.json"])
def test_a_damaged_file_is_refused(network: MoodNetwork, tmp_path: Path, name: str) -> None:
    MoodModel(network.moods, DESCRIPTORS).save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:12])

    with pytest.raises((OSError, ValueError)):
        load(tmp_path)


def test_the_seed_decides() -> None:
    first, again, other = (
        build(table(), DESCRIPTORS, OPTIONS, members=2, seed=seed).moods.get_weights() for seed in (1, 1, 2)
    )

    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(first, other, strict=True))
