"""Strings, times and enumerations between Python and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

_EnumT = TypeVar("_EnumT", bound=StrEnum)


def strings(name: str, values: Iterable[str]) -> list[str]:
    """Return `values` as a list. Raises TypeError for one bare string, whose characters would pass for ids."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{name} takes several strings, such as [{values!r}], not {values!r} alone")
    return list(values)


def timestamp(moment: datetime, *, name: str = "occurred_at") -> Timestamp:
    """Raises ValueError, which says `name`, for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{name} needs a time zone: {moment.isoformat()} could be any of several moments")
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def utc_offset_minutes(moment: datetime | None) -> int | None:
    """How far local time is ahead; None for a time in UTC itself, which says nothing of where the listener is."""
    offset = None if moment is None or moment.tzinfo is UTC else moment.utcoffset()
    return None if offset is None else round(offset.total_seconds() / 60)


def member(name: str, value: str, kind: type[_EnumT]) -> _EnumT:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name} must be one of {', '.join(kind)}, not {value!r}") from None


def received(number: int, name_of: Callable[[int], str], prefix: str, kind: type[_EnumT]) -> _EnumT:
    """Return the member that `number` stands for, or UNKNOWN for one that was added after this client was made."""
    try:
        return kind(name_of(number).removeprefix(prefix).lower())
    except ValueError:
        return kind("unknown")
