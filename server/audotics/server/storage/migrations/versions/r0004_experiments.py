"""Experiments: their plans, what happened to them, chosen arms, and which arm made which list."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "experiments"
down_revision = "track_history"

_NAMED = sa.text("recommendation_id <> ''")


def upgrade() -> None:
    op.create_index("events_by_list", "events", ["recommendation_id"], sqlite_where=_NAMED, postgresql_where=_NAMED)
    op.create_table(
        "experiments",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("salt", sa.String, nullable=False),
        sa.Column("slots", sa.JSON, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("stopped_at", sa.Float),
    )
    op.create_table(
        "experiment_records",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("experiment", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("arm", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
    )
    op.create_index("experiment_records_by_experiment", "experiment_records", ["experiment", "sequence"])
    op.create_table(
        "experiment_overrides",
        sa.Column("experiment", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("arm", sa.String, nullable=False),
    )
    op.create_index("experiment_overrides_by_user", "experiment_overrides", ["user_id"])
    op.create_table(
        "exposures",
        sa.Column("recommendation_id", sa.String, primary_key=True),
        sa.Column("experiment", sa.String, primary_key=True),
        sa.Column("arm", sa.String, nullable=False),
        sa.Column("propensity", sa.Float, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("history_length", sa.Integer, nullable=False),
        sa.Column("mood", sa.String, nullable=False),
        sa.Column("diversity", sa.Float, nullable=False),
    )
    op.create_index("exposures_by_experiment", "exposures", ["experiment", "created_at"])
    op.create_index("exposures_by_user", "exposures", ["user_id"])
    op.create_index("exposures_by_time", "exposures", ["created_at"])
