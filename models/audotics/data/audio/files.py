"""Audio files on disk: files and folders go in, the recordings in them and their samples come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError

SUFFIXES: Final = (".aif", ".aiff", ".au", ".flac", ".mp3", ".ogg", ".wav")
"""What is looked for in folders. A file that is named itself is tried whatever its name."""

SAMPLE_RATE: Final = 22_050
"""Of all samples that are analysed, in Hz."""

SHORTEST_S: Final = 3.0
"""Less holds too few beats for a tempo and too little for the rest."""

_SILENT: Final = 1e-4
"""Highest sample, -80 dB, of what counts as silence."""


class AudioFileError(Exception):
    """A file gives no features. The message says why, after the name of the file."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file and the track id that it stands for."""

    path: Path
    track_id: str


@dataclass(frozen=True, slots=True)
class Clip:
    """Mono samples float32 (n,) at SAMPLE_RATE of the middle of a recording, and what the file says of itself."""

    samples: NDArray[np.float32]
    duration_s: float
    title: str
    artist: str
    album: str


def find_recordings(paths: Sequence[Path]) -> list[Recording]:
    """List files as they are given, and the audio files of folders by name, with those of their folders.

    The id of a track is its file's name without the suffix, and below a folder that was given, the path from there:
    "Album/01 Intro". Raises DataError when a path does not exist, a folder holds no audio, or two files have one id.
    """
    found: dict[str, Recording] = {}
    for path in paths:
        for recording in _below(path):
            other = found.setdefault(recording.track_id, recording)
            if other.path.resolve() != recording.path.resolve():
                raise DataError(
                    f"has the id {recording.track_id!r}, like {other.path}; rename one of them, or give the folder "
                    "above both",
                    path=recording.path,
                )
    return list(found.values())


def _below(path: Path) -> Iterator[Recording]:
    if not path.exists():
        raise DataError("there is no such file or folder", path=path)
    if not path.is_dir():
        yield Recording(path, path.stem)
        return
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise DataError(f"holds no audio files; looked for {', '.join(SUFFIXES)}", path=path)
    for file in files:
        yield Recording(file, file.relative_to(path).with_suffix("").as_posix())


def read_clip(path: Path, *, clip_s: float) -> Clip:
    """Read the middle `clip_s` seconds of a file, or all of a shorter one. Raises AudioFileError."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            wanted = min(file.frames, round(clip_s * file.samplerate))
            file.seek((file.frames - wanted) // 2)
            channels = file.read(wanted, dtype="float32", always_2d=True)
            rate, duration_s = file.samplerate, file.frames / file.samplerate
            said = file.copy_metadata()
    except (OSError, soundfile.SoundFileError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
        raise AudioFileError(f"cannot be read: {' '.join(str(reason).split())}") from error
    if len(channels) < SHORTEST_S * rate:
        raise AudioFileError(f"holds {len(channels) / rate:.1f} s of sound; {SHORTEST_S:g} s are needed")
    mono = channels.mean(axis=1)
    if not np.isfinite(mono).all():
        raise AudioFileError("holds samples that are no numbers")
    if np.abs(mono).max() < _SILENT:
        raise AudioFileError("is silent")
    title, artist, album = (str(said.get(name, "")).strip() for name in ("title", "artist", "album"))
    return Clip(_resampled(mono, rate), duration_s, title or path.stem, artist, album)


def _resampled(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    if rate == SAMPLE_RATE:
        return samples
    import librosa

    resampled: NDArray[np.float32] = librosa.resample(samples, orig_sr=rate, target_sr=SAMPLE_RATE)
    return resampled
