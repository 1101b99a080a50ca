"""Artists of the tracks that were written to the server, counted from these; and an index of who was followed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from audotics.server.storage.artists import artist_key

revision = "artists"
down_revision = "model_records"

_FOLLOWS = sa.text("type = 'follow_artist'")
_FOUND = """
    SELECT name, SUM(live), MIN(at), MAX(at) FROM (
        SELECT artist AS name, 1 AS live, updated_at AS at FROM tracks WHERE NOT deleted
        UNION ALL SELECT artist, 0, updated_at FROM track_history WHERE NOT deleted
    ) AS written WHERE name <> '' GROUP BY name HAVING SUM(live) > 0
"""


def upgrade() -> None:
    artists = op.create_table(
        "artists",
        sa.Column("artist_key", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("track_count", sa.Integer, nullable=False),
        sa.Column("first_added_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
    )
    rows = [
        {
            "artist_key": artist_key(name),
            "name": name,
            "track_count": count,
            "first_added_at": first,
            "changed_at": last,
        }
        for name, count, first, last in op.get_bind().execute(sa.text(_FOUND))
    ]
    if rows:
        op.bulk_insert(artists, rows)
    op.create_index(
        "events_by_followed_track",
        "events",
        ["track_id", "user_id"],
        sqlite_where=_FOLLOWS,
        postgresql_where=_FOLLOWS,
    )
