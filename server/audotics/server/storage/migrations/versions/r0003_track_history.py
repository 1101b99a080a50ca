"""What tracks were before they were replaced, for reads as of a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "track_history"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "track_history",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("track_id", sa.String, nullable=False),
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
        sa.Column("replaced_at", sa.Float, nullable=False),
    )
    op.create_index("track_history_by_track", "track_history", ["track_id"])
