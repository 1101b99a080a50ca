"""Recordings made for the tests: clicks, chords and noise, written as WAV, FLAC or MP3."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

RATE = 22_050

Samples = NDArray[np.float32]
Signal = Callable[..., Samples]
Write = Callable[..., Path]


@pytest.fixture(scope="session")
def clicks() -> Signal:
    """Return a maker of clicks, one a beat: tones of 1 kHz that die away within 30 ms, over faint noise."""

    def make(*, bpm: float, seconds: float) -> Samples:
        samples = 0.002 * np.random.default_rng(0).standard_normal(int(seconds * RATE))
        t = np.arange(RATE // 20) / RATE
        click = 0.8 * np.sin(2 * np.pi * 1000 * t) * np.exp(-t / 0.01)
        for start in np.arange(0.05, seconds - 0.1, 60.0 / bpm):
            first = int(start * RATE)
            samples[first : first + len(click)] += click
        return samples.astype(np.float32)

    return make


@pytest.fixture(scope="session")
def chord() -> Signal:
    """Return a maker of triads on a pitch class, from C on; a `third` of 4 semitones makes a major one."""

    def make(root: int, *, third: int, seconds: float) -> Samples:
        t = np.arange(int(seconds * RATE)) / RATE
        tones = [261.63 * 2 ** ((root + step) / 12) for step in (0, third, 7)]
        samples = sum(np.sin(2 * np.pi * tone * harmonic * t) / harmonic for tone in tones for harmonic in (1, 2, 3, 4))
        return np.asarray(0.1 * samples, np.float32)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes samples to a file of that name, whose suffix says the format."""

    def to_file(name: str, samples: Samples, *, rate: int = RATE) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate)
        return path

    return to_file
