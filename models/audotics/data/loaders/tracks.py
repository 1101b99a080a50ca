"""A file of tracks alone: CSV, TSV, Parquet or JSON lines go in, catalogue columns come out.

A line of JSON is an object with the columns' names; tags and genres are lists or text with a | between them, and the
audio features stand in it by name or in an object `audio_features`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from audotics.data.dataset import DataError, LoadReport
from audotics.data.loaders.broken_rows import BrokenRowError, BrokenRows
from audotics.data.loaders.catalogue import catalogue_of
from audotics.data.loaders.columns import TRACK_COLUMNS, MissingColumnError, choose_fields
from audotics.data.loaders.fields import DTYPES
from audotics.data.loaders.lines import numbered_lines
from audotics.data.loaders.table import LIST_SEPARATOR, Table
from audotics.data.loaders.tabular import read_columns
from audotics.features.tracks import TrackColumns

_JSON_LINES: Final = (".jsonl", ".ndjson")


def load_tracks(path: Path, *, report: LoadReport, skip_bad_rows: bool = False) -> TrackColumns:
    """One track an id, described by its first row; `report` counts what was read and dropped. Raises DataError."""
    broken = BrokenRows(report, skip_bad_rows)
    if not path.is_file():
        raise DataError("there is no such file", path=path)
    if path.suffix.lower() in _JSON_LINES:
        table = _read_lines(path, broken)
    else:
        table = read_columns(path, TRACK_COLUMNS, {}, broken, also=_JSON_LINES)
    tracks = catalogue_of(table, tag_separator=LIST_SEPARATOR, report=report)
    if not len(tracks):
        raise DataError("holds no tracks", path=path)
    return tracks


def _read_lines(path: Path, broken: BrokenRows) -> Table:
    rows: list[tuple[int, dict[str, Any]]] = []
    for number, line in numbered_lines(path):
        if line.strip():
            try:
                rows.append((number, _object(line)))
            except BrokenRowError as error:
                broken.reject(path, number, error)
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    try:
        fields = choose_fields(TRACK_COLUMNS, {}, names)
    except MissingColumnError as error:
        raise DataError(str(error), path=path) from error
    values: dict[str, list[int | float | str]] = {key: [] for key in fields}
    for number, row in rows:
        try:
            parsed = [field.parse(_cell(row.get(field.column))) for field in fields.values()]
        except BrokenRowError as error:
            broken.reject(path, number, error)
            continue
        for column, value in zip(values.values(), parsed, strict=True):
            column.append(value)
    return Table({key: np.asarray(column, DTYPES[fields[key].kind]) for key, column in values.items()})


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BrokenRowError("no JSON", detail=str(error)) from error
    if not isinstance(row, dict):
        raise BrokenRowError("no object", detail=f'expected {{"id": …}}, found {line[:40]!r}')
    audio = row.pop("audio_features", None)
    return row | audio if isinstance(audio, dict) else row


def _cell(value: Any) -> str:
    """A value as the text that its field reads."""
    if value is None:
        return ""
    if isinstance(value, list):
        return LIST_SEPARATOR.join(str(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
