"""Data sets in a real PostgreSQL: what is read, in which forms, what is broken, and long tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from audotics.data.dataset import DataError, Dataset
from audotics.data.loaders import load
from audotics.data.loaders.postgres.tables import ROWS_A_PART
from audotics.features.audio import AUDIO_FEATURES

Database = Callable[[str], str]

TRACKS = """
CREATE TABLE tracks (
    id text, title text, artist text, album text, tags text[], genres jsonb, release_year smallint, explicit boolean,
    duration_ms integer, popularity real, energy double precision, tempo numeric
);
INSERT INTO tracks VALUES
    ('y', 'The "Y",' || chr(10) || ' live', 'Why', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0),
    ('x', 'The X', 'Ex', 'First', '{Rock, pop}', '["indie"]', 1999, true, 200000, 0.5, 0.9, 120);
"""
INTERACTIONS = """
CREATE TABLE interactions (user_id text, track_id text, plays integer, played_at timestamptz);
INSERT INTO interactions VALUES
    ('bob', 'z', 1, to_timestamp(250)), ('ann', 'x', 2, to_timestamp(300.9)), ('ann', 'y', 1, to_timestamp(100)),
    ('bob', 'x', 5, to_timestamp(200)), ('ann', 'x', 1, to_timestamp(50));
"""


def assert_is_the_example(dataset: Dataset) -> None:
    assert list(dataset.user_ids) == ["ann", "bob"]
    assert list(dataset.tracks.ids) == ["x", "y", "z"]
    assert [history.tolist() for history in dataset.interactions.histories(2)] == [[0, 1], [0, 2]]
    assert dataset.interactions.weights.tolist() == [3, 1, 5, 1]
    assert dataset.interactions.timestamps.tolist() == [50, 100, 200, 250]
    assert list(dataset.tracks.titles) == ["The X", 'The "Y",\n live', ""]
    assert [dataset.tracks.tags.row(row) for row in range(3)] == [["rock", "pop", "indie"], [], []]
    assert dataset.tracks.release_years.tolist() == [1999, 0, 0]
    assert dataset.tracks.explicit.tolist() == [1, -1, -1]
    assert dataset.tracks.durations_ms.tolist() == [200_000, 0, 0]
    assert dataset.tracks.popularity[0] == 0.5
    assert dataset.tracks.audio[0, AUDIO_FEATURES.index("energy")] == np.float32(0.9)
    assert np.isnan(dataset.tracks.audio[1:]).all()
    assert dataset.report.read["rows"] == 5
    assert dataset.report.read["tracks without a row in the track table"] == 1
    assert dataset.report.dropped == {"repeats of a user and a track, joined": 1}


def test_tables_become_a_data_set(database: Database) -> None:
    url = database(TRACKS + INTERACTIONS)
    dataset = load(url)

    assert_is_the_example(dataset)
    assert url.startswith(f"postgresql://postgres@/{dataset.name}?")
    assert dataset.report.source == url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg"])
def test_every_way_to_write_the_scheme(database: Database, scheme: str) -> None:
    url = database(TRACKS + INTERACTIONS)

    assert_is_the_example(load(url.replace("postgresql", scheme, 1)))


def test_views_in_a_schema_with_other_names_and_types(database: Database) -> None:
    url = database(f"""
        {TRACKS} {INTERACTIONS}
        CREATE SCHEMA music;
        CREATE VIEW music.tracks AS SELECT id AS "Song", title AS called_so, artist, album,
            array_to_string(tags, '|') AS tags, genres->>0 AS genre, release_year::text, explicit::text,
            duration_ms::bigint, popularity::text, energy::real, tempo::text FROM tracks;
        CREATE VIEW music.interactions AS SELECT user_id::varchar AS who, track_id, plays::numeric AS weight,
            extract(epoch FROM played_at) AS "when" FROM interactions;
        """)
    columns = {"user": "who", "timestamp": "when", "id": "Song", "title": "called_so"}

    assert_is_the_example(load(f"{url}&options=-csearch_path%3Dmusic", columns=columns))


def test_ids_of_any_type_and_dates(database: Database) -> None:
    url = database("""
        CREATE TABLE tracks (id uuid);
        CREATE TABLE interactions (user_id bigint, track_id uuid, played_at date);
        INSERT INTO interactions VALUES (7, '00000000-0000-0000-0000-00000000000a', '1970-01-02');
        """)
    dataset = load(url)

    assert list(dataset.user_ids) == ["7"]
    assert list(dataset.tracks.ids) == ["00000000-0000-0000-0000-00000000000a"]
    assert dataset.interactions.timestamps.tolist() == [86_400]


def test_without_times_the_order_of_rows_does_not_matter(database: Database) -> None:
    rows = ["('b', 'y')", "('a', 'x')", "('b', 'x')", "('a', 'z')"]
    script = "CREATE TABLE tracks (id text); CREATE TABLE interactions (user_id text, track_id text);"
    url = database(f"{script} INSERT INTO interactions VALUES {', '.join(rows)}")
    first = load(url)
    database(f"TRUNCATE interactions; INSERT INTO interactions VALUES {', '.join(reversed(rows))}")
    second = load(url)

    assert [history.tolist() for history in first.interactions.histories(2)] == [[0, 2], [0, 1]]
    assert [list(d.tracks.ids) for d in (first, second)] == [["x", "y", "z"]] * 2
    assert (first.interactions.tracks == second.interactions.tracks).all()
    assert first.interactions.timestamps.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("(NULL, 'x', 1, now())", "user_id is missing: the cell is blank"),
        ("('cid', '', 1, now())", "track_id is missing: the cell is blank"),
        ("('cid', 'x', NULL, now())", "plays is not a number: ''"),
        ("('cid', 'x', 'NaN', now())", "plays is not a number: 'NaN'"),
        ("('cid', 'x', -1, now())", "plays is out of range: -1 is outside 0 .. inf"),
        ("('cid', 'x', 1, NULL)", "played_at is neither seconds since the epoch nor an ISO 8601 time: ''"),
        (
            "('cid', 'x', 1, 'infinity')",
            "played_at is neither seconds since the epoch nor an ISO 8601 time: 'Infinity'",
        ),
    ],
)
def test_a_broken_row_is_named_or_skipped(database: Database, row: str, reason: str) -> None:
    script = f"ALTER TABLE interactions ALTER plays TYPE real; INSERT INTO interactions VALUES {row}"
    url = database(TRACKS + INTERACTIONS + script)
    with pytest.raises(DataError) as caught:
        load(url)

    assert "table interactions, the row with user_id " in str(caught.value)
    assert str(caught.value).endswith(f": {reason}; repair the row, or leave broken rows out with --skip-bad-rows")
    dataset = load(url, skip_bad_rows=True)
    assert dataset.report.dropped.pop(f"rows of interactions: {reason.partition(':')[0]}") == 1
    assert_is_the_example(dataset)


def test_a_feature_out_of_range_is_named(database: Database) -> None:
    url = database(TRACKS + INTERACTIONS + "UPDATE tracks SET energy = 1.7 WHERE id = 'x'")

    with pytest.raises(
        DataError, match=r"table tracks, the row with id 'x': energy is out of range: 1\.7 is outside 0"
    ):
        load(url)


def test_a_long_table_is_read_in_parts(database: Database) -> None:
    """More rows than three parts hold; ids that came up in one part keep their number in the next."""
    n_rows = 3 * ROWS_A_PART + 1
    url = database(f"""
        CREATE TABLE tracks (id text);
        CREATE TABLE interactions (user_id text, track_id text, played_at bigint);
        INSERT INTO interactions SELECT 'u' || i % 997, 't' || i / 997, i FROM generate_series(0, {n_rows - 1}) AS i;
        """)
    progress: list[int] = []
    dataset = load(url, watch=progress.append)
    users, tracks = (np.asarray([int(text[1:]) for text in ids]) for ids in (dataset.user_ids, dataset.tracks.ids))
    numbers = tracks[dataset.interactions.tracks] * 997 + users[dataset.interactions.users]

    assert (numbers == dataset.interactions.timestamps).all()
    assert sorted(numbers) == list(range(n_rows))
    assert progress == [ROWS_A_PART, 2 * ROWS_A_PART, 3 * ROWS_A_PART, n_rows]
