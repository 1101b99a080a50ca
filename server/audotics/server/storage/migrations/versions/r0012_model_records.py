"""What happened to versions of models: a table that is only ever added to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "model_records"
down_revision = "group_tilts"


def upgrade() -> None:
    op.create_table(
        "model_records",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("record_id", sa.String, nullable=False, unique=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("server", sa.String, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("replaced", sa.BigInteger, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("origin", sa.String, nullable=False),
        sa.Column("caller", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
    )
    op.create_index("model_records_by_time", "model_records", ["at", "sequence"])
    op.create_index("model_records_by_model", "model_records", ["model", "at", "sequence"])
