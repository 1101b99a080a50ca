"""The tables of version 0.1: changes to the catalogue, listeners, and their events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "tracks",
        sa.Column("track_id", sa.String, primary_key=True),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("artist", sa.String, nullable=False),
        sa.Column("album", sa.String, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("release_year", sa.Integer),
        sa.Column("explicit", sa.Boolean),
        sa.Column("duration_ms", sa.Integer),
        sa.Column("popularity", sa.Float),
        sa.Column("audio", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("first_seen", sa.Float, nullable=False),
        sa.Column("last_seen", sa.Float, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("event_id", sa.String, nullable=False, unique=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("track_id", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("occurred_at", sa.Float, nullable=False),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("recommendation_id", sa.String, nullable=False),
        sa.Column("rating", sa.Float),
    )
    op.create_index("events_by_user", "events", ["user_id", "sequence"])
