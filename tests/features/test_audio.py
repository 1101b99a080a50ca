"""Audio features: scaling with holes, columns without spread, outliers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audotics.features.audio import AUDIO_FEATURES, AUDIO_RANGES, AudioScaler

N = len(AUDIO_FEATURES)


@pytest.fixture
def audio() -> np.ndarray:
    """200 tracks: column 3 is never known, column 5 constant, and about a fifth of the rest unknown."""
    rng = np.random.default_rng(1)
    values = rng.normal(loc=np.arange(N), scale=1 + np.arange(N), size=(200, N)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 3] = np.nan
    values[:, 5] = 0.25
    return values


def test_every_feature_has_a_range() -> None:
    assert set(AUDIO_RANGES) == set(AUDIO_FEATURES)
    assert all(low < high for low, high in AUDIO_RANGES.values())


def test_known_values_are_standardised_and_unknown_ones_are_zero(audio: np.ndarray) -> None:
    known = ~np.isnan(audio)
    result = AudioScaler.fit(audio).transform(audio)

    assert result.shape == (200, 2 * N)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result[:, N:], known)
    scaled = result[:, :N]
    assert (scaled[~known] == 0).all()
    for column in set(range(N)) - {3, 5}:
        values = scaled[known[:, column], column]
        assert values.mean() == pytest.approx(0, abs=1e-5)
        assert values.std() == pytest.approx(1, abs=1e-4)


def test_a_column_without_values_or_spread_stays_finite(audio: np.ndarray) -> None:
    scaler = AudioScaler.fit(audio)

    assert (scaler.mean[3], scaler.std[3]) == (0, 1)
    assert (scaler.mean[5], scaler.std[5]) == (0.25, 1)
    other = audio.copy()
    other[:, [3, 5]] = 1.25
    np.testing.assert_allclose(scaler.transform(other)[:, [3, 5]], [[1.25, 1.0]] * len(audio))


def test_outliers_are_clipped(audio: np.ndarray) -> None:
    scaler = AudioScaler.fit(audio)
    wild = np.full((2, N), 1e9, np.float32) * np.asarray([[1], [-1]], np.float32)

    np.testing.assert_array_equal(scaler.transform(wild)[:, :N], [[5] * N, [-5] * N])


def test_an_empty_catalogue_can_be_measured() -> None:
    scaler = AudioScaler.fit(np.zeros((0, N), np.float32))

    assert scaler.transform(np.zeros((0, N), np.float32)).shape == (0, 2 * N)
    np.testing.assert_array_equal(scaler.std, np.ones(N))


def test_json_gives_the_same_scaler_back(audio: np.ndarray) -> None:
    scaler = AudioScaler.fit(audio)
    back = AudioScaler.from_json(json.loads(json.dumps(scaler.to_json())))

    np.testing.assert_array_equal(back.transform(audio), scaler.transform(audio))
