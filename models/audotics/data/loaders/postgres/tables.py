"""Tables of a database: the name of a table and its fields go in, checked NumPy columns come out, part by part.

Rows arrive by COPY as CSV, and Arrow parses them some ten thousands at a time, so that a table of any length needs the
memory of one part. Where Arrow finds anything unexpected, the part is read again row by row, as files are.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from audotics.data.dataset import DataError
from audotics.data.loaders.broken_rows import BrokenRowError, BrokenRows
from audotics.data.loaders.columns import REQUIRED
from audotics.data.loaders.fields import DTYPES, Field
from audotics.data.loaders.table import LIST_SEPARATOR, Table, checked

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed

ROWS_A_PART: Final = 65_536

_FIND: Final = """
SELECT n.nspname, c.relname, a.attname, t.typcategory, t.typname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE c.oid = pg_catalog.to_regclass(%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY a.attnum
"""

_JSON: Final = """
CASE pg_catalog.jsonb_typeof({column}::jsonb)
WHEN 'array' THEN
    (SELECT pg_catalog.string_agg(tag, {separator}) FROM pg_catalog.jsonb_array_elements_text({column}::jsonb) tag)
ELSE {column}::jsonb #>> '{{}}' END
"""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type as PostgreSQL sorts it: `category` is D for dates and times, N for numbers, A for arrays."""

    category: str
    name: str


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table or view, and the types of its columns by name."""

    schema: str
    name: str
    columns: Mapping[str, ColumnType]

    @classmethod
    def find(cls, connection: psycopg.Connection, name: str) -> SourceTable | None:
        """Look along the search path of the connection."""
        found = connection.execute(_FIND, [name]).fetchall()
        if not found:
            return None
        return cls(found[0][0], found[0][1], {row[2]: ColumnType(row[3], row[4]) for row in found})

    def read(
        self, connection: psycopg.Connection, fields: Mapping[str, Field], *, broken: BrokenRows
    ) -> Iterator[Table]:
        """Yield the columns of `fields`, by key, part by part. Raises DataError, for a broken row as `broken` says."""
        with connection.cursor() as cursor, cursor.copy(self._query(fields)) as copy:
            rows = map(bytes, copy)  # the server sends a row a message
            while part := list(islice(rows, ROWS_A_PART)):
                yield self._table(part, fields, broken)

    def _query(self, fields: Mapping[str, Field]) -> Composed:
        from psycopg import sql

        return sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv)").format(
            sql.SQL(", ").join(self._expression(field) for field in fields.values()),
            sql.Identifier(self.schema, self.name),
        )

    def _expression(self, field: Field) -> Composed:
        """A column as the text that its field reads."""
        from psycopg import sql

        kind = self.columns[field.column]
        form = "{column}::text"
        if field.kind == "time" and kind.category == "D":
            form = "floor(extract(epoch FROM {column}))::text"
        elif field.kind == "time" and kind.category == "N":
            form = "floor({column})::text"
        elif field.kind == "text" and kind.category == "A":
            form = "pg_catalog.array_to_string({column}, {separator})"
        elif field.kind == "text" and kind.name in ("json", "jsonb"):
            form = _JSON
        return sql.SQL(form).format(column=sql.Identifier(field.column), separator=sql.Literal(LIST_SEPARATOR))

    def _table(self, rows: Sequence[bytes], fields: Mapping[str, Field], broken: BrokenRows) -> Table:
        try:
            arrow = pa_csv.read_csv(
                pa.BufferReader(b"".join(rows)),
                read_options=pa_csv.ReadOptions(column_names=list(fields), use_threads=False),
                parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(fields, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            table = checked(arrow, [replace(field, column=key) for key, field in fields.items()])
        except pa.ArrowException:
            table = None
        return self._row_by_row(rows, fields, broken) if table is None else table

    def _row_by_row(self, rows: Sequence[bytes], fields: Mapping[str, Field], broken: BrokenRows) -> Table:
        values: dict[str, list[int | float | str]] = {key: [] for key in fields}
        for row in rows:
            # csv wants whole lines, and a cell may hold several.
            (cells,) = csv.reader([row.decode(errors="surrogateescape")], strict=True)
            try:
                parsed = [field.parse(cell) for field, cell in zip(fields.values(), cells, strict=True)]
            except BrokenRowError as error:
                self._reject(cells, fields, error, broken)
                continue
            for column, value in zip(values.values(), parsed, strict=True):
                column.append(value)
        return Table({key: np.asarray(column, DTYPES[fields[key].kind]) for key, column in values.items()})

    def _reject(
        self, cells: Sequence[str], fields: Mapping[str, Field], error: BrokenRowError, broken: BrokenRows
    ) -> None:
        if broken.skip:
            broken.report.dropped[f"rows of {self.name}: {error.reason}"] += 1
            return
        ids = " and ".join(
            f"{field.column} {cell!r}"
            for (key, field), cell in zip(fields.items(), cells, strict=True)
            if key in REQUIRED
        )
        raise DataError(
            f"{broken.report.source}: table {self.name}, the row with {ids}: {error}; "
            "repair the row, or leave broken rows out with --skip-bad-rows"
        ) from error
