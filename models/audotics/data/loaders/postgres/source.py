"""A data set in PostgreSQL: the tables `tracks` and `interactions` go in, catalogue and histories come out.

    interactions   user_id, track_id, weight (or count, plays), played_at (or timestamp, time)
    tracks         id, title, artist, album, tags, genres, release_year, explicit, duration_ms, popularity, and the
                   Spotify audio features danceability, energy, key, loudness, mode, speechiness, acousticness,
                   instrumentalness, liveness, valence, tempo

Only the ids are required. Columns of other names are mapped as for files, and views serve as well as tables. Ids may
be of any type, `played_at` a date, a time, or seconds since the epoch, tags and genres an array, a JSON array, or text
with a | between them. Times without a zone are UTC. The tables are looked for along the search path, which a URL can
set: `?options=-csearch_path%3Dmusic`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.data.loaders.assemble import nothing_left, with_counts
from audotics.data.loaders.broken_rows import BrokenRows
from audotics.data.loaders.catalogue import catalogue_of
from audotics.data.loaders.columns import (
    INTERACTION_COLUMNS,
    TRACK_COLUMNS,
    MissingColumnError,
    check_mapping,
    choose_fields,
)
from audotics.data.loaders.fields import DTYPES, Field
from audotics.data.loaders.ids import enumerate_ids
from audotics.data.loaders.postgres.connection import OTHERWISE, DatabaseUrl, connect
from audotics.data.loaders.postgres.tables import SourceTable
from audotics.data.loaders.table import LIST_SEPARATOR, Table
from audotics.features.tracks import TrackColumns

if TYPE_CHECKING:
    import psycopg

TRACKS_TABLE: Final = "tracks"
INTERACTIONS_TABLE: Final = "interactions"

_AT_LEAST: Final = {TRACKS_TABLE: "a column id", INTERACTIONS_TABLE: "columns user_id and track_id"}


def load_postgres(
    url: str,
    *,
    columns: Mapping[str, str] | None = None,
    skip_bad_rows: bool = False,
    watch: Callable[[int], object] | None = None,
) -> Dataset:
    """Read the tables that the head of this module describes, in one snapshot.

    `columns` maps keys of INTERACTION_COLUMNS and TRACK_COLUMNS to column names. A pair's rows add up. Listeners are
    in the order of their ids and tracks in that of theirs, so that the same rows always make the same data set,
    whatever order the database keeps them in; without a time, no interaction comes before another. `watch` is told now
    and then how many interactions have been read. Raises DataError.
    """
    mapping = check_mapping(columns)
    address = DatabaseUrl.parse(url)
    report = LoadReport(address.shown)
    broken = BrokenRows(report, skip_bad_rows)
    with connect(address) as connection:
        tracks, track_fields = _find(connection, TRACKS_TABLE, TRACK_COLUMNS, mapping, address)
        listens, listen_fields = _find(connection, INTERACTIONS_TABLE, INTERACTION_COLUMNS, mapping, address)
        rows = _joined([*tracks.read(connection, track_fields, broken=broken)], track_fields)
        described = catalogue_of(rows, tag_separator=LIST_SEPARATOR, report=report)
        described = described.take(np.argsort(described.ids, kind="stable"))
        history = _Listening(described.ids)
        for part in listens.read(connection, listen_fields, broken=broken):
            history.add(part)
            if watch is not None:
                watch(history.n_rows)
    user_ids, pairs, undescribed = history.finish()
    report.read["rows"] = history.n_rows
    report.read["tracks without a row in the track table"] = len(undescribed)
    report.dropped["repeats of a user and a track, joined"] += history.n_rows - len(pairs)
    if len(pairs) == 0:
        raise DataError(f"{address.shown}: table {listens.name} {nothing_left(report)}; fill it, {OTHERWISE}")
    catalogue = described.concat(TrackColumns.build(undescribed))
    return with_counts(Dataset(address.database, catalogue, user_ids, pairs, report))


def _find(
    connection: psycopg.Connection,
    name: str,
    wanted: Mapping[str, tuple[str, ...]],
    mapping: Mapping[str, str],
    address: DatabaseUrl,
) -> tuple[SourceTable, dict[str, Field]]:
    table = SourceTable.find(connection, name)
    if table is None:
        raise DataError(
            f"{address.shown}: there is no table {name!r}; create it, or a view of that name with {_AT_LEAST[name]} "
            f"over your own, {OTHERWISE}"
        )
    try:
        return table, choose_fields(wanted, mapping, list(table.columns))
    except MissingColumnError as error:
        raise DataError(f"{address.shown}: table {name} {error} with --column, {OTHERWISE}") from error


def _joined(parts: list[Table], fields: Mapping[str, Field]) -> Table:
    return Table(
        {
            key: np.concatenate([np.zeros(0, DTYPES[field.kind]), *(part.columns[key] for part in parts)])
            for key, field in fields.items()
        }
    )


class _Listening:
    """Interactions as they arrive: ids become numbers at once, so that a row needs twenty bytes."""

    def __init__(self, track_ids: NDArray[np.object_]) -> None:
        self._n_described = len(track_ids)
        self._tracks = _Numbers(track_ids)
        self._users = _Numbers(np.empty(0, object))
        self._parts: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]] = []
        self.n_rows = 0

    def add(self, part: Table) -> None:
        n = len(part)
        self.n_rows += n
        self._parts.append(
            (
                self._users.of(part.texts("user")),
                self._tracks.of(part.texts("track")),
                part.numbers("weight").astype(np.float32) if "weight" in part.columns else np.ones(n, np.float32),
                part.integers("timestamp") if "timestamp" in part.columns else np.zeros(n, np.int64),
            )
        )

    def finish(self) -> tuple[NDArray[np.object_], Interactions, NDArray[np.object_]]:
        """Listeners in order, their interactions, and the tracks that no row describes, in order."""
        if not self._parts:
            nobody = np.empty(0, object)
            return nobody, Interactions.build(np.zeros(0, np.int32), np.zeros(0, np.int32)), nobody
        users, tracks, weights, times = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        self._parts.clear()
        user_ids, user_rows = self._users.in_order(after=0)
        track_ids, track_rows = self._tracks.in_order(after=self._n_described)
        users, tracks = user_rows[users], track_rows[tracks]
        order = np.argsort(tracks, kind="stable")  # what happened at the same time stands in the order of tracks
        pairs = Interactions.build(users[order], tracks[order], weights=weights[order], timestamps=times[order])
        return user_ids, pairs, track_ids[self._n_described :]


class _Numbers:
    """Numbers of ids, in the order in which they are first seen."""

    def __init__(self, known: NDArray[np.object_]) -> None:
        self._number_of = {text: number for number, text in enumerate(known.tolist())}

    def of(self, ids: NDArray[np.object_]) -> NDArray[np.int32]:
        codes, distinct = enumerate_ids(ids)
        numbers = [self._number_of.setdefault(text, len(self._number_of)) for text in distinct.tolist()]
        result: NDArray[np.int32] = np.asarray(numbers, np.int32)[codes]
        return result

    def in_order(self, *, after: int) -> tuple[NDArray[np.object_], NDArray[np.int32]]:
        """All ids, sorted from number `after` on, and the place of each number among them."""
        ids = np.empty(len(self._number_of), object)
        ids[:] = list(self._number_of)
        order = np.concatenate([np.arange(after), after + np.argsort(ids[after:], kind="stable")])
        places = np.empty(len(ids), np.int32)
        places[order] = np.arange(len(ids))
        return ids[order], places
