"""Sessions of groups with their members, votes and plays; the local time of events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "groups"
down_revision = "experiments"


def upgrade() -> None:
    op.add_column("events", sa.Column("utc_offset_minutes", sa.Integer))
    op.create_table(
        "group_sessions",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("fairness_floor", sa.Float, nullable=False),
        sa.Column("now_playing", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
    )
    op.create_table(
        "session_members",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("joined_at", sa.Float, nullable=False),
    )
    op.create_index("session_members_by_user", "session_members", ["user_id"])
    op.create_table(
        "session_votes",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("track_id", sa.String, primary_key=True),
        sa.Column("value", sa.Integer, nullable=False),
        sa.Column("voted_at", sa.Float, nullable=False),
    )
    op.create_index("session_votes_by_user", "session_votes", ["user_id"])
    op.create_table(
        "session_plays",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("session_id", sa.String, nullable=False),
        sa.Column("track_id", sa.String, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("skipped", sa.Boolean, nullable=False),
    )
    op.create_index("session_plays_by_session", "session_plays", ["session_id", "sequence"])
