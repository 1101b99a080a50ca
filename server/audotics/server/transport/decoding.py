"""Bytes that are no message: a method's deserializer goes in, one that never raises comes out.

gRPC answers UNKNOWN, with the name of a Python class, to what a deserializer raises, and logs its traceback. So what
cannot be read travels on to where errors get their statuses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from audotics.server.errors import FieldViolation, InvalidRequestError


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in the place of a message."""

    reason: str

    def error(self) -> InvalidRequestError:
        """What to raise in its place."""
        return InvalidRequestError([FieldViolation("request", f"these bytes are no message: {self.reason}")])


def forgiving(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """`deserialize`, but with an Unreadable for what it cannot read. None, for methods that take bytes, stays None."""
    if deserialize is None:
        return None

    def decode(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return Unreadable(str(error))

    return decode


async def readable(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The messages of a stream. Raises InvalidRequestError at the first that is none."""
    async for request in requests:
        if isinstance(request, Unreadable):
            raise request.error()
        yield request
