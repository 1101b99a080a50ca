"""Tracks between Python and messages."""

from __future__ import annotations

from typing import Final

from audotics.client.arguments import AudioFeatures, Track
from audotics.client.codec.scalars import strings
from audotics.v1 import catalog_service_pb2, track_pb2

_AUDIO_FEATURES: Final = tuple(track_pb2.AudioFeatures.DESCRIPTOR.fields_by_name)
_OPTIONAL_TRACK_FIELDS: Final = ("release_year", "explicit", "duration_ms", "popularity")


def encode_track(value: Track) -> track_pb2.Track:
    audio = {name: getattr(value.audio_features, name) for name in _AUDIO_FEATURES}
    known = {name: number for name, number in audio.items() if number is not None}
    message = track_pb2.Track(
        track_id=value.track_id,
        title=value.title,
        artist=value.artist,
        album=value.album,
        tags=strings("tags", value.tags),
        release_year=value.release_year,
        duration_ms=value.duration_ms,
        popularity=value.popularity,
        audio_features=track_pb2.AudioFeatures(**known) if known else None,
    )
    if value.explicit is not None:
        message.explicit = value.explicit
    return message


def decode_track(message: track_pb2.Track) -> Track:
    audio = message.audio_features
    return Track(
        track_id=message.track_id,
        title=message.title,
        artist=message.artist,
        album=message.album,
        tags=tuple(message.tags),
        audio_features=AudioFeatures(
            **{name: getattr(audio, name) for name in _AUDIO_FEATURES if audio.HasField(name)}
        ),
        **{name: getattr(message, name) for name in _OPTIONAL_TRACK_FIELDS if message.HasField(name)},
    )


def decode_tracks(message: catalog_service_pb2.GetTracksResponse) -> tuple[Track, ...]:
    return tuple(decode_track(track) for track in message.tracks)
