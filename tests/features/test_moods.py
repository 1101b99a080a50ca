"""Moods: which way the rules point."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.audio import AUDIO_FEATURES, AudioScaler
from audotics.features.moods import MOOD_WEIGHTS, MOODS, mood_scores

AVERAGE = {
    "danceability": 0.5,
    "energy": 0.5,
    "key": 5.5,
    "loudness": -10.0,
    "mode": 0.5,
    "speechiness": 0.1,
    "acousticness": 0.5,
    "instrumentalness": 0.3,
    "liveness": 0.2,
    "valence": 0.5,
    "tempo": 120.0,
}
SPREAD = {"key": 3.0, "loudness": 4.0, "tempo": 25.0}


@pytest.fixture
def scaler() -> AudioScaler:
    std = [SPREAD.get(name, 0.2) for name in AUDIO_FEATURES]
    return AudioScaler(np.asarray([AVERAGE[name] for name in AUDIO_FEATURES], np.float32), np.asarray(std, np.float32))


def moods_of(scaler: AudioScaler, **features: float) -> dict[str, float]:
    """Scores of a track that is average in everything but `features`."""
    audio = np.asarray([[(AVERAGE | features)[name] for name in AUDIO_FEATURES]], np.float32)
    return dict(zip(MOODS, mood_scores(audio, scaler)[0].tolist(), strict=True))


def test_the_eight_moods_have_rules_on_known_features() -> None:
    assert set(MOOD_WEIGHTS) == set(MOODS)
    assert len(MOODS) == 8
    assert all(set(weights) <= set(AUDIO_FEATURES) for weights in MOOD_WEIGHTS.values())


@pytest.mark.parametrize(
    ("mood", "opposite", "features"),
    [
        ("energetic", "chill", {"energy": 0.95, "tempo": 150, "loudness": -4}),
        ("chill", "workout", {"energy": 0.2, "acousticness": 0.9, "tempo": 80}),
        ("happy", "melancholic", {"valence": 0.95, "danceability": 0.7}),
        ("melancholic", "party", {"valence": 0.1, "energy": 0.2}),
        ("party", "focused", {"danceability": 0.9, "energy": 0.85, "valence": 0.8}),
        ("focused", "party", {"instrumentalness": 0.95, "speechiness": 0.03, "energy": 0.3}),
        ("romantic", "workout", {"acousticness": 0.8, "valence": 0.6, "energy": 0.3, "tempo": 85}),
        ("workout", "romantic", {"energy": 0.95, "tempo": 165, "acousticness": 0.05}),
    ],
)
def test_a_made_up_track_suits_its_mood(
    scaler: AudioScaler, mood: str, opposite: str, features: dict[str, float]
) -> None:
    scores = moods_of(scaler, **features)

    assert scores[mood] > 1
    assert scores[opposite] < 0


def test_a_track_without_audio_suits_nothing_and_offends_nothing(scaler: AudioScaler) -> None:
    silent = np.full((3, len(AUDIO_FEATURES)), np.nan, np.float32)

    np.testing.assert_array_equal(mood_scores(silent, scaler), np.zeros((3, len(MOODS))))


def test_an_unknown_feature_counts_as_average(scaler: AudioScaler) -> None:
    without = moods_of(scaler, energy=0.9, tempo=float("nan"))

    assert without == pytest.approx(moods_of(scaler, energy=0.9))


def test_moods_are_on_one_scale() -> None:
    audio = np.random.default_rng(0).normal(size=(5_000, len(AUDIO_FEATURES))).astype(np.float32)
    scores = mood_scores(audio, AudioScaler.fit(audio))

    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scores.std(axis=0), 1, atol=0.05)
