"""The log of group sessions, and when each session last changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "session_log"
down_revision = "group_arms"


def upgrade() -> None:
    op.create_table(
        "session_log",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("session_id", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("track_id", sa.String, nullable=False),
        sa.Column("value", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("session_log_by_session", "session_log", ["session_id", "at"])
    op.create_index("session_log_by_user", "session_log", ["user_id", "at"])
    op.create_index("session_log_by_time", "session_log", ["at"])
    op.add_column("group_sessions", sa.Column("changed_at", sa.Float, nullable=False, server_default="0"))
    # Of sessions from before there was a log, the last that is known.
    op.execute("UPDATE group_sessions SET changed_at = COALESCE(ended_at, created_at)")
    times = (("session_members", "joined_at"), ("session_votes", "voted_at"), ("session_plays", "started_at"))
    for table, column in times:
        latest = f"(SELECT MAX({column}) FROM {table} WHERE {table}.session_id = group_sessions.session_id)"
        op.execute(f"UPDATE group_sessions SET changed_at = {latest} WHERE {latest} > changed_at")
    op.create_index("group_sessions_by_change", "group_sessions", ["changed_at"])
