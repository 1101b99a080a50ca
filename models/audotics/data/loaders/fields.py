"""Columns of a source file: the text of a cell goes in, a checked value comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import numpy as np

from audotics.data.loaders.broken_rows import BrokenRowError

Kind = Literal["integer", "number", "text", "time", "flag"]

UNKNOWN_NUMBERS: Final = frozenset({"", "NA", "NaN", "nan", "null"})
"""How sources write a number that they do not know."""

DTYPES: Final[dict[Kind, type[np.generic]]] = {
    "integer": np.int64,
    "number": np.float64,
    "text": np.object_,
    "time": np.int64,
    "flag": np.int8,
}

_FLAGS: Final = {"true": 1, "yes": 1, "1": 1, "false": 0, "no": 0, "0": 0, "": -1}
_INT64_LIMIT: Final = 2**63


@dataclass(frozen=True, slots=True)
class Field:
    """One column and what it may hold.

    integer  a whole number
    number   any finite number; unknown is NaN
    text     surrounding blanks are removed; unknown is ""
    time     seconds since the epoch, or ISO 8601 (UTC where it names no zone), read as whole seconds
    flag     true/false, yes/no or 1/0; unknown is -1

    Integers and times are always required; `required=False` lets the other kinds be unknown. A range includes both
    its ends.
    """

    column: str
    kind: Kind
    required: bool = True
    minimum: float = -math.inf
    maximum: float = math.inf

    def parse(self, cell: str) -> int | float | str:
        """Read one cell. Raises BrokenRowError."""
        text = cell.strip()
        match self.kind:
            case "text":
                value: int | float | str = _utf8(self.column, text)
                if self.required and not text:
                    raise BrokenRowError(f"{self.column} is missing", detail="the cell is blank")
                return value
            case "flag":
                flag = _FLAGS.get(text.lower())
                if flag is None or (self.required and flag < 0):
                    raise BrokenRowError(f"{self.column} is not true or false", detail=repr(cell))
                return flag
            case "integer":
                value = _integer(self.column, text)
            case "time":
                value = _time(self.column, text)
            case "number":
                if text in UNKNOWN_NUMBERS and not self.required:
                    return math.nan
                value = _number(self.column, text)
        if not self.minimum <= value <= self.maximum:
            limits = f"{self.minimum:g} .. {self.maximum:g}"
            raise BrokenRowError(f"{self.column} is out of range", detail=f"{text} is outside {limits}")
        return value


def _utf8(column: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raw = text.encode(errors="surrogateescape")
        raise BrokenRowError(f"{column} is not UTF-8", detail=repr(raw)) from error
    return text


def _integer(column: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = _INT64_LIMIT
    if "_" in text or not -_INT64_LIMIT <= value < _INT64_LIMIT:
        raise BrokenRowError(f"{column} is not an integer", detail=repr(text))
    return value


def _number(column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if "_" in text or not math.isfinite(value):
        raise BrokenRowError(f"{column} is not a number", detail=repr(text))
    return value


def _time(column: str, text: str) -> int:
    try:
        return math.floor(_number(column, text))
    except BrokenRowError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            reason = f"{column} is neither seconds since the epoch nor an ISO 8601 time"
            raise BrokenRowError(reason, detail=repr(text)) from error
    return math.floor((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
