"""Preferences, deleted listeners and receipts; an index by arrival for the end of the retention period."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("events_by_arrival", "events", ["received_at"])
    op.create_table(
        "preferences",
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_table(
        "erasures",
        sa.Column("user_hash", sa.String, primary_key=True),
        sa.Column("erased_at", sa.Float, nullable=False),
    )
    op.create_table(
        "receipts",
        sa.Column("recommendation_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index("receipts_by_user", "receipts", ["user_id"])
    op.create_index("receipts_by_time", "receipts", ["created_at"])
