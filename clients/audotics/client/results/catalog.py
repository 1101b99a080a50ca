"""What becomes of tracks, and their artists."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """The answer to `upsert_tracks`."""

    created_count: int
    updated_count: int


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """The answer to `delete_tracks`."""

    deleted_count: int
    unknown_count: int


@dataclass(frozen=True, slots=True)
class Artist:
    """An artist of at least one track that can be recommended.

    Of the `track_count` tracks, `added_track_count` were written to the server since the catalogue was exported;
    `first_added_at` and `changed_at` are of such tracks, None without any. `genres` counts the tracks of each genre,
    the most frequent first.
    """

    name: str
    track_count: int
    added_track_count: int = 0
    follower_count: int = 0
    genres: dict[str, int] = field(default_factory=dict)
    first_added_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ArtistPage:
    """The answer to `list_artists`, by name. `next_page_token` is empty where there is nothing more."""

    artists: tuple[Artist, ...]
    next_page_token: str = ""
