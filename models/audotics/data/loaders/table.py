"""Tables on disk: a delimited text or Parquet file and its fields go in, checked NumPy columns come out.

Arrow reads the whole file at once. Where it finds anything unexpected, the file is read again row by row: only that way
is known which row is broken, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audotics.data.dataset import DataError
from audotics.data.loaders.broken_rows import BrokenRowError, BrokenRows
from audotics.data.loaders.fields import DTYPES, UNKNOWN_NUMBERS, Field
from audotics.data.loaders.lines import TextLayout, rows

LIST_SEPARATOR = "|"
"""Between the elements of a Parquet list, which is read as text."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length, by name. See `Field` for what each kind holds."""

    columns: Mapping[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def integers(self, column: str) -> NDArray[np.int64]:
        """Integers and times."""
        return self.columns[column].astype(np.int64, copy=False)

    def numbers(self, column: str) -> NDArray[np.float64]:
        return self.columns[column].astype(np.float64, copy=False)

    def texts(self, column: str) -> NDArray[np.object_]:
        return self.columns[column].astype(np.object_, copy=False)

    def flags(self, column: str) -> NDArray[np.int8]:
        return self.columns[column].astype(np.int8, copy=False)


def column_names(path: Path, layout: TextLayout | None) -> list[str]:
    """Names in the header of a file; a `layout` of None stands for Parquet. Raises DataError."""
    if layout is None:
        return list(_parquet(path).schema_arrow.names)
    first = next(rows(path, layout), None)
    if first is None:
        raise DataError("is empty", path=path)
    line, cells = first
    if isinstance(cells, BrokenRowError):
        raise DataError(f"the header cannot be read: {cells}", path=path, line=line)
    return [cell.strip() for cell in cells]


def read_table(path: Path, fields: Sequence[Field], *, layout: TextLayout | None, broken: BrokenRows) -> Table:
    """Read the columns named by `fields`; a file without a header has exactly these, in this order.

    A `layout` of None stands for Parquet. Raises DataError, for a broken row as `broken` says.
    """
    if layout is None:
        arrow: pa.Table | None = _parquet_table(path, fields)
        names = column_names(path, layout)
        source = _parquet_rows(arrow, names)
    else:
        names = _text_names(path, fields, layout)
        arrow = _text_table(path, fields, layout, names)
        source = _text_rows(path, layout)
    table = None if arrow is None else checked(arrow, fields)
    return _row_by_row(path, fields, names, source, broken) if table is None else table


def _text_names(path: Path, fields: Sequence[Field], layout: TextLayout) -> list[str]:
    found = column_names(path, layout)
    if not layout.header:
        return [field.column for field in fields]
    _require(path, fields, found)
    return found


def _require(path: Path, fields: Sequence[Field], found: Sequence[str]) -> None:
    missing = [field.column for field in fields if field.column not in found]
    if missing:
        names = ", ".join(map(repr, missing))
        raise DataError(f"has no column {names}; its columns are {', '.join(found)}", path=path)


def _text_table(path: Path, fields: Sequence[Field], layout: TextLayout, names: list[str]) -> pa.Table | None:
    types = {
        "integer": pa.int64(),
        "time": pa.int64(),
        "number": pa.float64(),
        "text": pa.string(),
        "flag": pa.string(),
    }
    content = path.read_bytes()
    if layout.quoted and content.count(b'"') % 2:
        return None  # Arrow would take all that follows a stray quotation mark for one cell.
    try:
        return pa_csv.read_csv(
            pa.BufferReader(content),
            read_options=pa_csv.ReadOptions(column_names=None if layout.header else names),
            parse_options=pa_csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if layout.quoted else False,
                newlines_in_values=layout.quoted,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types={field.column: types[field.kind] for field in fields},
                include_columns=[field.column for field in fields],
                null_values=sorted(UNKNOWN_NUMBERS),
            ),
        )
    except pa.ArrowException:
        return None


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path=path) from error
    except pa.ArrowException as error:
        raise DataError("is not a Parquet file, or only a part of one", path=path) from error


def _parquet_table(path: Path, fields: Sequence[Field]) -> pa.Table:
    file = _parquet(path)
    _require(path, fields, file.schema_arrow.names)
    try:
        table = file.read(columns=[field.column for field in fields])
    except (OSError, pa.ArrowException) as error:
        raise DataError("is damaged: its columns cannot be read", path=path) from error
    columns = {}
    for field in fields:
        column = table[field.column].combine_chunks()
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            column = pc.binary_join(column, LIST_SEPARATOR)
        if field.kind == "time" and pa.types.is_timestamp(column.type):
            column = pc.cast(column, pa.timestamp("s", tz=column.type.tz), safe=False).cast(pa.int64())
        columns[field.column] = column
    return pa.table(columns)


def checked(table: pa.Table, fields: Sequence[Field]) -> Table | None:
    """Columns as NumPy arrays, or None where a value is not what its field allows."""
    columns: dict[str, NDArray[np.generic]] = {}
    try:
        for field in fields:
            columns[field.column] = _column(table[field.column].combine_chunks(), field)
    except (BrokenRowError, pa.ArrowException):
        return None
    return Table(columns)


def _column(column: pa.Array, field: Field) -> NDArray[np.generic]:
    """Convert one column. Raises BrokenRowError or ArrowException where a value is not allowed."""
    somewhere = BrokenRowError(f"{field.column} is wrong", detail="in some row")
    if field.kind in ("text", "flag"):
        text = pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), ""))
        if field.kind == "flag":
            encoded = text.dictionary_encode()
            flags = np.asarray([field.parse(cell) for cell in encoded.dictionary.to_pylist()], np.int8)
            indices: NDArray[np.int32] = encoded.indices.to_numpy()
            return flags[indices]
        if field.required and pc.any(pc.equal(text, "")).as_py():
            raise somewhere
        texts: NDArray[np.object_] = text.to_numpy(zero_copy_only=False)
        return texts
    if column.null_count and (field.required or field.kind != "number"):
        raise somewhere
    dtype = pa.float64() if field.kind == "number" else pa.int64()
    values: NDArray[np.generic] = column.cast(dtype).to_numpy(zero_copy_only=False)
    numbers = values.astype(np.float64)
    unknown = np.isnan(numbers)
    if (field.required and unknown.any()) or np.isinf(numbers).any():
        raise somewhere
    if not (unknown | ((numbers >= field.minimum) & (numbers <= field.maximum))).all():
        raise somewhere
    return values


def _text_rows(path: Path, layout: TextLayout) -> Iterator[tuple[int, list[str] | BrokenRowError]]:
    source = rows(path, layout)
    if layout.header:
        next(source)
    return source


def _parquet_rows(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[int, list[str] | BrokenRowError]]:
    """Cells as text, in the order of `names`; the "line" of a Parquet row is its 1-based position."""
    read = {name: table[name].to_pylist() for name in table.column_names}
    for row in range(table.num_rows):
        yield row + 1, ["" if name not in read or read[name][row] is None else str(read[name][row]) for name in names]


def _row_by_row(
    path: Path,
    fields: Sequence[Field],
    names: Sequence[str],
    source: Iterator[tuple[int, list[str] | BrokenRowError]],
    broken: BrokenRows,
) -> Table:
    positions = [names.index(field.column) for field in fields]
    values: list[list[int | float | str]] = [[] for _ in fields]
    for line, cells in source:
        try:
            if isinstance(cells, BrokenRowError):
                raise cells
            if len(cells) != len(names):
                raise BrokenRowError("wrong number of fields", detail=f"expected {len(names)}, found {len(cells)}")
            parsed = [field.parse(cells[position]) for field, position in zip(fields, positions, strict=True)]
        except BrokenRowError as error:
            broken.reject(path, line, error)
            continue
        for column, value in zip(values, parsed, strict=True):
            column.append(value)
    return Table(
        {field.column: np.asarray(column, DTYPES[field.kind]) for field, column in zip(fields, values, strict=True)}
    )
