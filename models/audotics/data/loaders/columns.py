"""Columns of plain tables, on disk or in a database: the names a source has go in, the fields to read come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from audotics.data.dataset import DataError
from audotics.data.loaders.audio import audio_field
from audotics.data.loaders.fields import Field
from audotics.features.audio import AUDIO_FEATURES

INTERACTION_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "user": ("user", "user_id", "userId", "playlist_id", "session_id"),
    "track": ("track", "track_id", "trackId", "item", "item_id", "itemId", "song_id"),
    "weight": ("weight", "count", "plays", "play_count"),
    "timestamp": ("timestamp", "time", "ts", "played_at"),
}
"""Columns of interactions, and the names they are looked for by unless a mapping names them."""

TRACK_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "track_id", "trackId", "item_id", "song_id"),
    "title": ("title", "track_name", "name"),
    "artist": ("artist", "track_artist", "artist_name"),
    "album": ("album", "album_name"),
    "tags": ("tags",),
    "genres": ("genres", "genre"),
    "release_year": ("release_year", "year"),
    "explicit": ("explicit",),
    "duration_ms": ("duration_ms",),
    "popularity": ("popularity",),
    **{feature: (feature,) for feature in AUDIO_FEATURES},
}
"""The same for tracks. Genres join the tags."""

REQUIRED: Final = frozenset({"user", "track", "id"})


class MissingColumnError(Exception):
    """A source lacks a column. The message goes on from the name of the source: "has no column for 'user': …"."""


def check_mapping(columns: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the mapping of keys to column names. Raises DataError for a key that is in neither table."""
    known = [*INTERACTION_COLUMNS, *TRACK_COLUMNS]
    for key in columns or {}:
        if key not in known:
            raise DataError(f"unknown key {key!r} in the column mapping; known keys: {', '.join(known)}")
    return columns or {}


def choose_fields(
    wanted: Mapping[str, tuple[str, ...]], mapping: Mapping[str, str], found: Sequence[str]
) -> dict[str, Field]:
    """Fields of those `wanted` columns that are among the names `found`, by key.

    Raises MissingColumnError for a required column that is absent, and for any that `mapping` names in vain.
    """
    fields = {}
    for key, names in wanted.items():
        looked_for = (mapping[key],) if key in mapping else names
        column = next((name for name in looked_for if name in found), None)
        if column is not None:
            fields[key] = _field(key, column)
        elif key in mapping or key in REQUIRED:
            raise MissingColumnError(
                f"has no column for {key!r}: looked for {', '.join(looked_for)}, found {', '.join(found)}; "
                "name it in the column mapping"
            )
    return fields


def _field(key: str, column: str) -> Field:
    if key in AUDIO_FEATURES:
        return audio_field(key, column=column)
    match key:
        case "weight":
            return Field(column, "number", minimum=0)
        case "timestamp":
            return Field(column, "time")
        case "explicit":
            return Field(column, "flag", required=False)
        case "release_year":
            return Field(column, "number", required=False, minimum=0, maximum=9999)
        case "duration_ms":
            return Field(column, "number", required=False, minimum=0, maximum=2**31 - 1)
        case "popularity":
            return Field(column, "number", required=False, minimum=0, maximum=1)
        case _:
            return Field(column, "text", required=key in REQUIRED)
