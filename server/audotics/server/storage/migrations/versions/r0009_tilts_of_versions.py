"""Tilts belong to the version of the hybrid that they were drawn for; 0 is for those of an unknown one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "tilts_of_versions"
down_revision = "session_log"


def upgrade() -> None:
    for table in ("decisions", "tilt_updates"):
        op.add_column(table, sa.Column("hybrid", sa.Integer, nullable=False, server_default="0"))
