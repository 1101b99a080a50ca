"""Arms of experiments that made lists of groups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "group_arms"
down_revision = "tilts"


def upgrade() -> None:
    op.add_column("exposures", sa.Column("group_key", sa.String, nullable=False, server_default=""))
