"""The GTZAN features: a signal goes in, the 57 numbers of the public `features_30_sec.csv` come out.

The recipe is that of the data set's notebook: librosa's defaults (frames of 2,048 samples every 512) on a clip of 30 s
at 22,050 Hz, and of each feature mean and variance over its frames. `harmony` and `perceptr` are the samples of the
harmonic and the percussive part (Fitzgerald 2010). One thing differs: the recipe's tempo is one of few, 5 BPM apart
near 120, and here a parabola finds the peak between two of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import librosa
import numpy as np
from librosa.effects import hpss
from librosa.onset import onset_strength
from numpy.typing import NDArray

from audotics.data.audio.files import SAMPLE_RATE
from audotics.data.loaders.gtzan import CLIP_FEATURES

HOP: Final = 512
N_MFCC: Final = 20


@dataclass(frozen=True, slots=True)
class Analysis:
    """The CLIP_FEATURES by name, and the harmonic part, in which a key is easier to hear."""

    features: dict[str, float]
    harmonic: NDArray[np.float32]


def analyse(samples: NDArray[np.float32]) -> Analysis:
    """Measure float32 (n,) samples of one channel at SAMPLE_RATE, at least a second of them."""
    harmonic, percussive = hpss(samples)
    series = (
        librosa.feature.chroma_stft(y=samples, sr=SAMPLE_RATE),
        librosa.feature.rms(y=samples),
        librosa.feature.spectral_centroid(y=samples, sr=SAMPLE_RATE),
        librosa.feature.spectral_bandwidth(y=samples, sr=SAMPLE_RATE),
        librosa.feature.spectral_rolloff(y=samples, sr=SAMPLE_RATE),
        librosa.feature.zero_crossing_rate(samples),
        harmonic,
        percussive,
    )
    values: list[float] = []
    for one in series:
        values += [float(one.mean()), float(one.var())]
    values.append(tempo_bpm(samples))
    for coefficient in librosa.feature.mfcc(y=samples, sr=SAMPLE_RATE, n_mfcc=N_MFCC):
        values += [float(coefficient.mean()), float(coefficient.var())]
    return Analysis(dict(zip(CLIP_FEATURES, values, strict=True)), harmonic)


def tempo_bpm(samples: NDArray[np.float32]) -> float:
    """The strongest lag of the onset strength's autocorrelation, tempi near 120 preferred (Grosche et al. 2010)."""
    onsets = onset_strength(y=samples, sr=SAMPLE_RATE, hop_length=HOP)
    coarse = float(librosa.feature.tempo(onset_envelope=onsets, sr=SAMPLE_RATE, hop_length=HOP)[0])
    frames_a_minute = 60.0 * SAMPLE_RATE / HOP
    lag = round(frames_a_minute / coarse)
    correlation = librosa.feature.tempogram(onset_envelope=onsets, sr=SAMPLE_RATE, hop_length=HOP).mean(axis=1)
    before, peak, after = correlation[lag - 1 : lag + 2]
    curvature = before - 2.0 * peak + after
    offset = 0.5 * (before - after) / curvature if curvature < 0 else 0.0
    return frames_a_minute / (lag + float(np.clip(offset, -0.5, 0.5)))
