"""Drawn tilts and what they earned, and records of proposed policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "tilts"
down_revision = "groups"


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("recommendation_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("arm", sa.String, nullable=False),
        sa.Column("segment", sa.String, nullable=False),
        sa.Column("tilt", sa.String, nullable=False),
        sa.Column("propensity", sa.Float, nullable=False),
        sa.Column("policy", sa.Integer, nullable=False),
        sa.Column("reward", sa.Float),
    )
    op.create_index("decisions_by_user", "decisions", ["user_id"])
    op.create_index("decisions_by_time", "decisions", ["arm", "created_at"])
    is_open = sa.text("reward IS NULL")
    op.create_index("decisions_open", "decisions", ["created_at"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "tilt_updates",
        sa.Column("arm", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("replaced", sa.Integer, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.Column("evidence", sa.JSON),
    )
