"""Plain CSV, TSV and Parquet: a file of interactions and an optional file of tracks go in, a data set comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.data.loaders.assemble import assemble
from audotics.data.loaders.broken_rows import BrokenRows
from audotics.data.loaders.catalogue import catalogue_of
from audotics.data.loaders.columns import (
    INTERACTION_COLUMNS,
    TRACK_COLUMNS,
    MissingColumnError,
    check_mapping,
    choose_fields,
)
from audotics.data.loaders.ids import enumerate_ids, rows_of
from audotics.data.loaders.lines import TextLayout
from audotics.data.loaders.table import LIST_SEPARATOR, Table, column_names, read_table
from audotics.features.tracks import TrackColumns

LAYOUTS: Final[dict[str, TextLayout | None]] = {
    ".csv": TextLayout(",", header=True, quoted=True),
    ".tsv": TextLayout("\t", header=True, quoted=True),
    ".parquet": None,
}
"""File suffixes that can be read; Parquet needs no text layout."""


def load_tabular(
    interactions: Path,
    *,
    tracks: Path | None = None,
    columns: Mapping[str, str] | None = None,
    tag_separator: str = LIST_SEPARATOR,
    skip_bad_rows: bool = False,
) -> Dataset:
    """Read a file of interactions and, where given, one of tracks.

    `columns` maps keys of INTERACTION_COLUMNS and TRACK_COLUMNS to column names of the files. Weights are at least 0;
    without them each row weighs 1, and a pair's rows add up. Timestamps are seconds since the epoch or ISO 8601;
    without them the order of the file stands for time. Tracks that only the interactions name are in the catalogue
    too, with nothing but their id. Popularity is 0..1; Parquet lists of tags need no separator. Raises DataError.
    """
    mapping = check_mapping(columns)
    report = LoadReport(str(interactions))
    broken = BrokenRows(report, skip_bad_rows)
    table = read_columns(interactions, INTERACTION_COLUMNS, mapping, broken)
    report.read["rows"] = len(table)
    users, user_ids = enumerate_ids(table.texts("user"))
    if tracks is None:
        catalogue = TrackColumns.build([])
    else:
        described = read_columns(tracks, TRACK_COLUMNS, mapping, broken)
        catalogue = catalogue_of(described, tag_separator=tag_separator, report=report)
    _, played = enumerate_ids(table.texts("track"))
    undescribed = played[rows_of(played, catalogue.ids) < 0]
    if tracks is not None:
        report.read["tracks without a row in the track table"] = len(undescribed)
    catalogue = catalogue.concat(TrackColumns.build(undescribed))
    pairs = Interactions.build(
        users,
        rows_of(table.texts("track"), catalogue.ids),
        weights=table.numbers("weight") if "weight" in table.columns else None,
        timestamps=table.integers("timestamp") if "timestamp" in table.columns else None,
    )
    report.dropped["repeats of a user and a track, joined"] += len(table) - len(pairs)
    return assemble(interactions, tracks=catalogue, user_ids=user_ids, interactions=pairs, report=report)


def read_columns(
    path: Path,
    wanted: Mapping[str, tuple[str, ...]],
    mapping: Mapping[str, str],
    broken: BrokenRows,
    *,
    also: Sequence[str] = (),
) -> Table:
    """Read those of the `wanted` columns that the file has, under their keys. Raises DataError.

    `also` are suffixes that the caller reads by itself, for the error that lists the known ones.
    """
    if path.suffix.lower() not in LAYOUTS:
        raise DataError(f"is of an unknown kind; known file suffixes: {', '.join((*LAYOUTS, *also))}", path=path)
    layout = LAYOUTS[path.suffix.lower()]
    try:
        fields = choose_fields(wanted, mapping, column_names(path, layout))
    except MissingColumnError as error:
        raise DataError(str(error), path=path, line=None if layout is None else 1) from error
    table = read_table(path, tuple(fields.values()), layout=layout, broken=broken)
    return Table({key: table.columns[field.column] for key, field in fields.items()})
