"""What becomes of tracks."""

from __future__ import annotations

from dataclasses import dataclass


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
