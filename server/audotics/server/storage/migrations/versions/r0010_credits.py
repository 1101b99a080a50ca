"""Which tilts would have listed the tracks of a list, and what each of them would have earned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "credits"
down_revision = "tilts_of_versions"


def upgrade() -> None:
    for name in ("overlap", "credits"):
        op.add_column("decisions", sa.Column(name, sa.JSON))
