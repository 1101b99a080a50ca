"""Groups for whose lists tilts were drawn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "group_tilts"
down_revision = "credits"


def upgrade() -> None:
    op.add_column("decisions", sa.Column("group_key", sa.String, nullable=False, server_default=""))
    op.create_index("decisions_by_group", "decisions", ["group_key", "created_at"])
