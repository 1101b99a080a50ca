"""Tables of the server's own state, as the newest migration leaves them. `migrations/` makes and changes them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

METADATA: Final = MetaData()

FOLLOWS: Final = "type = 'follow_artist'"
"""Of events, as `NAMES_A_LIST`."""

NAMES_A_LIST: Final = "recommendation_id <> ''"
"""Of events. Queries that name lists say so in these very words, or SQLite does not use the index of such events."""

TRACKS: Final = Table(
    "tracks",
    METADATA,
    Column("track_id", String, primary_key=True),
    Column("deleted", Boolean, nullable=False),
    Column("title", String, nullable=False),
    Column("artist", String, nullable=False),
    Column("album", String, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("release_year", Integer),
    Column("explicit", Boolean),
    Column("duration_ms", Integer),
    Column("popularity", Float),
    Column("audio", JSON, nullable=False),
    Column("updated_at", Float, nullable=False),
)
"""Tracks written since the catalogue bundle was made; `deleted` rows are tombstones."""

ARTISTS: Final = Table(
    "artists",
    METADATA,
    Column("artist_key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("track_count", Integer, nullable=False),
    Column("first_added_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
)
"""One row an artist of tracks in `tracks` that are not deleted, and how many these are.

`artist_key` stands for the name, which may be longer than PostgreSQL's indexes take.
"""

TRACK_HISTORY: Final = Table(
    "track_history",
    METADATA,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("track_id", String, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("title", String, nullable=False),
    Column("artist", String, nullable=False),
    Column("album", String, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("release_year", Integer),
    Column("explicit", Boolean),
    Column("duration_ms", Integer),
    Column("popularity", Float),
    Column("audio", JSON, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("replaced_at", Float, nullable=False),
    Index("track_history_by_track", "track_id"),
)
"""Rows of `tracks` that were replaced: each held from `updated_at` until `replaced_at`."""

USERS: Final = Table(
    "users",
    METADATA,
    Column("user_id", String, primary_key=True),
    Column("first_seen", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
)
"""One row a listener who sent an event; times are those of the events, UTC seconds."""

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("user_id", String, nullable=False),
    Column("track_id", String, nullable=False),
    Column("type", String, nullable=False),
    Column("occurred_at", Float, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("recommendation_id", String, nullable=False),
    Column("rating", Float),
    Column("utc_offset_minutes", Integer),
    Index("events_by_user", "user_id", "sequence"),
    Index("events_by_arrival", "received_at"),
    Index(
        "events_by_list",
        "recommendation_id",
        sqlite_where=text(NAMES_A_LIST),
        postgresql_where=text(NAMES_A_LIST),
    ),
    Index(
        "events_by_followed_track",
        "track_id",
        "user_id",
        sqlite_where=text(FOLLOWS),
        postgresql_where=text(FOLLOWS),
    ),
)
"""Every acknowledged event; `sequence` is the order of arrival."""

PREFERENCES: Final = Table(
    "preferences",
    METADATA,
    Column("user_id", String, primary_key=True),
    Column("value", JSON, nullable=False),
    Column("updated_at", Float, nullable=False),
)
"""What listeners said they like and never want to hear, one object a listener."""

ERASURES: Final = Table(
    "erasures",
    METADATA,
    Column("user_hash", String, primary_key=True),
    Column("erased_at", Float, nullable=False),
)
"""Listeners who were deleted, by the SHA-256 of their id: what bundles still hold of them is passed over."""

RECEIPTS: Final = Table(
    "receipts",
    METADATA,
    Column("recommendation_id", String, primary_key=True),
    Column("user_id", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("receipts_by_user", "user_id"),
    Index("receipts_by_time", "created_at"),
)
"""What each list was made from; `user_id` is empty for anonymous subjects."""

EXPERIMENTS: Final = Table(
    "experiments",
    METADATA,
    Column("name", String, primary_key=True),
    Column("plan", JSON, nullable=False),
    Column("salt", String, nullable=False),
    Column("slots", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("stopped_at", Float),
)
"""What was asked for, and the part of its layer that each experiment has."""

EXPERIMENT_RECORDS: Final = Table(
    "experiment_records",
    METADATA,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("experiment", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("event", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("detail", String, nullable=False),
    Index("experiment_records_by_experiment", "experiment", "sequence"),
)
"""What happened to experiments, and why."""

EXPERIMENT_OVERRIDES: Final = Table(
    "experiment_overrides",
    METADATA,
    Column("experiment", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("arm", String, nullable=False),
    Index("experiment_overrides_by_user", "user_id"),
)
"""Listeners whose arm was chosen and not drawn."""

EXPOSURES: Final = Table(
    "exposures",
    METADATA,
    Column("recommendation_id", String, primary_key=True),
    Column("experiment", String, primary_key=True),
    Column("arm", String, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("user_id", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("history_length", Integer, nullable=False),
    Column("mood", String, nullable=False),
    Column("diversity", Float, nullable=False),
    Column("group_key", String, nullable=False, server_default=""),
    Index("exposures_by_experiment", "experiment", "created_at"),
    Index("exposures_by_user", "user_id"),
    Index("exposures_by_time", "created_at"),
)
"""Which arm made which list; `experiment` is empty for listeners who are held out of all of them.

`user_id` is empty for lists of groups, and `group_key` for all others.
"""

GROUP_SESSIONS: Final = Table(
    "group_sessions",
    METADATA,
    Column("session_id", String, primary_key=True),
    Column("strategy", String, nullable=False),
    Column("fairness_floor", Float, nullable=False),
    Column("now_playing", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("changed_at", Float, nullable=False, server_default="0"),
    Index("group_sessions_by_change", "changed_at"),
)
"""Sessions in which a group listens together; `now_playing` is a track's id, or empty."""

SESSION_MEMBERS: Final = Table(
    "session_members",
    METADATA,
    Column("session_id", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("weight", Float, nullable=False),
    Column("joined_at", Float, nullable=False),
    Index("session_members_by_user", "user_id"),
)
"""Who is in a session now."""

SESSION_VOTES: Final = Table(
    "session_votes",
    METADATA,
    Column("session_id", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("track_id", String, primary_key=True),
    Column("value", Integer, nullable=False),
    Column("voted_at", Float, nullable=False),
    Index("session_votes_by_user", "user_id"),
)
"""The latest vote of each member on each track: 1 for, -1 against."""

SESSION_PLAYS: Final = Table(
    "session_plays",
    METADATA,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("session_id", String, nullable=False),
    Column("track_id", String, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("skipped", Boolean, nullable=False),
    Index("session_plays_by_session", "session_id", "sequence"),
)
"""What a session played, in order. Who asked for a skip is not kept."""

SESSION_LOG: Final = Table(
    "session_log",
    METADATA,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("session_id", String, nullable=False),
    Column("type", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("track_id", String, nullable=False),
    Column("value", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Index("session_log_by_session", "session_id", "at"),
    Index("session_log_by_user", "user_id", "at"),
    Index("session_log_by_time", "at"),
)
"""Everything that changed in sessions, in order. `user_id` is empty where a session as a whole did it."""

DECISIONS: Final = Table(
    "decisions",
    METADATA,
    Column("recommendation_id", String, primary_key=True),
    Column("user_id", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("arm", String, nullable=False),
    Column("segment", String, nullable=False),
    Column("tilt", String, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("policy", Integer, nullable=False),
    Column("reward", Float),
    Column("hybrid", Integer, nullable=False, server_default="0"),
    Column("overlap", JSON(none_as_null=True)),
    Column("credits", JSON(none_as_null=True)),
    Column("group_key", String, nullable=False, server_default=""),
    Index("decisions_by_user", "user_id"),
    Index("decisions_by_group", "group_key", "created_at"),
    Index("decisions_by_time", "arm", "created_at"),
    Index("decisions_open", "created_at", sqlite_where=text("reward IS NULL"), postgresql_where=text("reward IS NULL")),
)
"""Tilts that were drawn for lists of a version of the hybrid.

`reward` is unset until the time in which feedback counts is over. `user_id` and `group_key` are as in EXPOSURES.
"""

MODEL_RECORDS: Final = Table(
    "model_records",
    METADATA,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("record_id", String, nullable=False, unique=True),
    Column("at", Float, nullable=False),
    Column("server", String, nullable=False),
    Column("event", String, nullable=False),
    Column("model", String, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("replaced", BigInteger, nullable=False),
    Column("label", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("caller", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("digest", String, nullable=False),
    Index("model_records_by_time", "at", "sequence"),
    Index("model_records_by_model", "model", "at", "sequence"),
)
"""What happened to versions of models on each server, who caused it, and why. Rows are only ever added."""

TILT_UPDATES: Final = Table(
    "tilt_updates",
    METADATA,
    Column("arm", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("outcome", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("replaced", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("policy", JSON, nullable=False),
    Column("evidence", JSON),
    Column("hybrid", Integer, nullable=False, server_default="0"),
)
"""What became of the policies of an arm, in order. Of each version of the hybrid the last that was not dropped is in
force."""
