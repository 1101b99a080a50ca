"""Tracks: `Track` messages go in, checked records come out, and back."""

from __future__ import annotations

from typing import Final

from audotics.features.audio import AUDIO_FEATURES, AUDIO_RANGES
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import TrackRecord
from audotics.v1 import track_pb2

_MAX_TAGS: Final = 256
_YEARS: Final = (1000, 3000)


def decode_track(message: track_pb2.Track, *, path: str, violations: Violations, needs_id: bool = True) -> TrackRecord:
    """Read a track and add to `violations` what is wrong with it; `path` is its place in the request."""
    if needs_id:
        violations.check_id(f"{path}.track_id", message.track_id)
    for name, text in (("title", message.title), ("artist", message.artist), ("album", message.album)):
        violations.check_text(f"{path}.{name}", text)
    violations.check_names(f"{path}.tags", message.tags, most=_MAX_TAGS)
    if message.HasField("release_year"):
        violations.check_between(f"{path}.release_year", message.release_year, *_YEARS)
    if message.HasField("duration_ms") and message.duration_ms <= 0:
        violations.add(f"{path}.duration_ms", f"is {message.duration_ms}; send a positive number, or leave it unset")
    if message.HasField("popularity"):
        violations.check_between(f"{path}.popularity", message.popularity, 0.0, 1.0)
    return TrackRecord(
        track_id=message.track_id,
        title=message.title,
        artist=message.artist,
        album=message.album,
        tags=tuple(message.tags),
        release_year=message.release_year if message.HasField("release_year") else None,
        explicit=message.explicit if message.HasField("explicit") else None,
        duration_ms=message.duration_ms if message.HasField("duration_ms") else None,
        popularity=message.popularity if message.HasField("popularity") else None,
        audio=_decode_audio(message.audio_features, path=f"{path}.audio_features", violations=violations)
        if message.HasField("audio_features")
        else (),
    )


def encode_track(record: TrackRecord) -> track_pb2.Track:
    """Unknown values stay unset."""
    known = {name: value for name, value in zip(AUDIO_FEATURES, record.audio, strict=False) if value is not None}
    message = track_pb2.Track(
        track_id=record.track_id,
        title=record.title,
        artist=record.artist,
        album=record.album,
        tags=record.tags,
        release_year=record.release_year,
        duration_ms=record.duration_ms,
        popularity=record.popularity,
        audio_features=track_pb2.AudioFeatures(**known) if known else None,
    )
    if record.explicit is not None:
        message.explicit = record.explicit
    return message


def _decode_audio(message: track_pb2.AudioFeatures, *, path: str, violations: Violations) -> tuple[float | None, ...]:
    for name in AUDIO_FEATURES:
        if message.HasField(name):
            violations.check_between(f"{path}.{name}", getattr(message, name), *AUDIO_RANGES[name])
    return tuple(getattr(message, name) if message.HasField(name) else None for name in AUDIO_FEATURES)
