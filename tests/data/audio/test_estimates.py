"""Features of signals whose tempo, key and character are known."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audotics.data.audio.estimates import energy_of, estimate, fluctuation_exponent, key_and_mode
from audotics.data.audio.files import SAMPLE_RATE
from audotics.data.audio.gtzan import analyse, tempo_bpm
from audotics.data.loaders.gtzan import CLIP_FEATURES
from audotics.features.audio import AUDIO_RANGES

RealData = Callable[[str], Path]
Signal = Callable[..., np.ndarray]


@pytest.mark.parametrize("bpm", [70, 90, 120, 128, 174])
def test_tempo_of_clicks(clicks: Signal, bpm: float) -> None:
    assert tempo_bpm(clicks(bpm=bpm, seconds=20)) == pytest.approx(bpm, rel=0.01)


@pytest.mark.parametrize("root", [0, 4, 9])
@pytest.mark.parametrize(("third", "mode"), [(4, 1), (3, 0)])
def test_key_and_mode_of_chords(chord: Signal, root: int, third: int, mode: int) -> None:
    assert key_and_mode(chord(root, third=third, seconds=3)) == (root, mode)


def test_features_of_a_chord(chord: Signal) -> None:
    samples = chord(0, third=4, seconds=3)
    analysis = analyse(samples)
    features = analysis.features

    assert tuple(features) == CLIP_FEATURES
    assert len(features) == 57
    assert np.isfinite(list(features.values())).all()
    assert features["rms_mean"] == pytest.approx(np.sqrt(np.mean(samples**2)), rel=0.05)
    assert features["harmony_var"] > 100 * features["perceptr_var"]
    assert 500 < features["spectral_centroid_mean"] < 1_000
    estimates = estimate(samples, analysis)
    assert (estimates["key"], estimates["mode"]) == (0, 1)
    assert estimates["tempo"] == features["tempo"]
    assert estimates["loudness"] == pytest.approx(20 * np.log10(np.std(samples)), abs=0.1)
    for feature, value in estimates.items():
        assert AUDIO_RANGES[feature][0] <= value <= AUDIO_RANGES[feature][1]


def test_a_steady_beat_is_more_danceable_than_drift(clicks: Signal) -> None:
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(20 * SAMPLE_RATE).astype(np.float32)
    drift = np.repeat(np.cumsum(rng.standard_normal(2_000)), SAMPLE_RATE // 100)
    drifting = noise[: len(drift)] * (drift - drift.min()).astype(np.float32)
    beat = fluctuation_exponent(clicks(bpm=120, seconds=20))

    assert beat < 0.2
    assert fluctuation_exponent(noise) == pytest.approx(0.5, abs=0.1)  # what theory says of white noise
    assert fluctuation_exponent(drifting) > 1.0


def test_energy_rises_with_loudness_and_brightness() -> None:
    quiet = energy_of({"rms_mean": 0.05, "spectral_centroid_mean": 2_000.0})

    assert energy_of({"rms_mean": 0.001, "spectral_centroid_mean": 500.0}) == 0.0
    assert 0.0 < quiet < energy_of({"rms_mean": 0.2, "spectral_centroid_mean": 2_000.0}) < 1.0
    assert quiet < energy_of({"rms_mean": 0.05, "spectral_centroid_mean": 3_000.0})
    assert energy_of({"rms_mean": 0.5, "spectral_centroid_mean": 5_000.0}) == 1.0


def test_energy_of_real_clips_follows_their_genre(real_data: RealData) -> None:
    by_genre = defaultdict(list)
    with (real_data("gtzan") / "features_30_sec.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            columns = {name: float(row[name]) for name in ("rms_mean", "spectral_centroid_mean")}
            by_genre[row["label"]].append(energy_of(columns))
    order = sorted(by_genre, key=lambda genre: np.mean(by_genre[genre]))

    assert order[:2] == ["classical", "jazz"]
    assert set(order[-3:]) == {"metal", "hiphop", "pop"}


def test_features_have_the_columns_of_the_real_file(real_data: RealData) -> None:
    header = (real_data("gtzan") / "features_30_sec.csv").read_text().partition("\n")[0].strip().split(",")

    assert header == ["filename", "length", *CLIP_FEATURES, "label"]
