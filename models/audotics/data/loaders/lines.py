"""Text files line by line: a path goes in, numbered lines or rows of cells come out."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from audotics.data.dataset import DataError
from audotics.data.loaders.broken_rows import BrokenRowError


@dataclass(frozen=True, slots=True)
class TextLayout:
    """How a delimited text file is written.

    Without `quoted`, quotation marks are ordinary characters. Cells that are not UTF-8 are read in `fallback_encoding`;
    where there is none, they are broken.
    """

    delimiter: str
    header: bool
    quoted: bool
    fallback_encoding: str | None = None


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file; bytes that are not UTF-8 become lone surrogates. Raises DataError."""
    try:
        file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from error
    with file:
        yield file


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line without its end, blank ones too, with its 1-based number. Raises DataError."""
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            yield number, line.rstrip("\r\n")


def rows(path: Path, layout: TextLayout) -> Iterator[tuple[int, list[str] | BrokenRowError]]:
    """Yield the cells of each row that is not blank, the header too, with the 1-based line where the row starts.

    A row that breaks the rules of quoting comes as its error. Raises DataError.
    """
    with open_text(path) as file:
        lines = _RetryableLines(file)
        reader = csv.reader(
            lines,
            delimiter=layout.delimiter,
            quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
            strict=True,
        )
        while True:
            line = lines.begin_row()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                lines.retry_from_second()
                yield line, BrokenRowError("quotation marks or line ends are wrong", detail=str(error))
                continue
            if cells:
                yield line, [_decoded(cell, layout.fallback_encoding) for cell in cells]


class _RetryableLines:
    """Lines of a file that can be read again: a stray quotation mark spoils its own line, not all that follow."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self._next_number = 1

    def __iter__(self) -> _RetryableLines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._file)
        self._row.append(line)
        return line

    def begin_row(self) -> int:
        """Return the 1-based number of the line that comes next."""
        self._next_number += len(self._row)
        self._row = []
        return self._next_number

    def retry_from_second(self) -> None:
        """Give back all lines of the row but its first."""
        self._again.extendleft(reversed(self._row[1:]))
        del self._row[1:]


def _decoded(cell: str, fallback_encoding: str | None) -> str:
    if fallback_encoding is None or cell.isascii():
        return cell
    raw = cell.encode(errors="surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode(fallback_encoding)
