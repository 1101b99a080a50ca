"""Tables of the server's own state: changes to the catalogue since it was exported, listeners, and their events."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, String, Table

METADATA: Final = MetaData()

TRACKS: Final = Table(
    "tracks",
    METADATA,
    Column("track_id", String, primary_key=True),
    Column("deleted", Boolean, nullable=False),
    Column("title", String, nullable=False),
    Column("artist", String, nullable=False),
    Column("album", String, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("release_year", Integer),
    Column("explicit", Boolean),
    Column("duration_ms", Integer),
    Column("popularity", Float),
    Column("audio", JSON, nullable=False),
    Column("updated_at", Float, nullable=False),
)
"""Tracks written since the catalogue bundle was made; `deleted` rows are tombstones."""

USERS: Final = Table(
    "users",
    METADATA,
    Column("user_id", String, primary_key=True),
    Column("first_seen", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
)
"""One row a listener who sent an event; times are those of the events, UTC seconds."""

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("user_id", String, nullable=False),
    Column("track_id", String, nullable=False),
    Column("type", String, nullable=False),
    Column("occurred_at", Float, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("recommendation_id", String, nullable=False),
    Column("rating", Float),
    Index("events_by_user", "user_id", "sequence"),
)
"""Every acknowledged event; `sequence` is the order of arrival."""
