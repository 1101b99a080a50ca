"""Requests that differ in their contents only: encoded messages go in, arrays come out, without reading all of it anew.

A client sends one model the same names, types and shapes again and again, so that encoded requests are equal up to the
raw contents at their end, and these stand at the same places. A request that was read and answered leaves its layout
here; one that fits it bit by bit, apart from the contents, means the same. Reading, checking and encoding take a third
of the time this way. Everything else goes the ordinary way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.services.inference import Inferred
from audotics.server.services.signature import Known, Signature

_RAW_INPUT: Final = b"\x3a"  # field 7 of a ModelInferRequest, of bytes
_RAW_OUTPUT: Final = b"\x32"  # field 6 of a ModelInferResponse, of bytes
_KEY_BYTES: Final = 48
_MOST_PREFIX_BYTES: Final = 2048
_MOST_LAYOUTS: Final = 512
_MOST_LIMITED_BYTES: Final = 65_536
"""Of values that a layout keeps: those of 8,192 pairs."""


@dataclass(frozen=True, slots=True, eq=False)
class _Slot:
    """Where the contents of one input stand. `mark` is the tag and the length before them."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    mark: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What requests of one layout have in common.

    `header` is the answer without contents, for outputs of `shapes`; `marks` are the tags and lengths before these.
    `limited` is where the values are limited, and values there that were taken; None where these are too many to keep.
    """

    prefix: bytes
    slots: tuple[_Slot, ...]
    signature: Signature
    model_name: str
    model_version: str
    outputs: tuple[str, ...]
    header: bytes
    shapes: tuple[tuple[int, ...], ...]
    marks: tuple[bytes, ...]
    limited: tuple[tuple[slice, bytes], ...] | None

    def fits(self, data: bytes) -> bool:
        if not data.startswith(self.prefix):
            return False
        return all(data[slot.start - len(slot.mark) : slot.start] == slot.mark for slot in self.slots)

    def feeds(self, data: bytes) -> dict[str, NDArray[Any]]:
        """The contents are copied, since arrays within `data` would not be aligned."""
        return {
            slot.name: np.frombuffer(data[slot.start : slot.end], slot.dtype).reshape(slot.shape) for slot in self.slots
        }

    def known(self, data: bytes) -> Known:
        """What need not be looked at again: many callers number the listeners of all their requests alike."""
        if self.limited is None or any(data[place] != taken for place, taken in self.limited):
            return Known.TENSORS
        return Known.VALUES

    def encode(self, inferred: Inferred) -> bytes | None:
        """The encoded answer; None when its shapes are others than before."""
        parts = [self.header]
        for array, shape, mark in zip(inferred.arrays, self.shapes, self.marks, strict=True):
            if array.shape != shape:
                return None
            parts += (mark, array.tobytes())
        return b"".join(parts)


class Layouts:
    """Layouts of requests that were answered. A few are kept for each length and beginning of a message."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bytes], Layout] = {}

    def find(self, data: bytes) -> Layout | None:
        """The layout that `data` fits."""
        layout = self._known.get((len(data), data[:_KEY_BYTES]))
        return layout if layout is not None and layout.fits(data) else None

    def learn(
        self, data: bytes, request: Any, signature: Signature, feeds: dict[str, NDArray[Any]], answer: Any
    ) -> None:
        """Remember how `request`, which was encoded as `data` and answered with `answer`, is laid out, if it can be."""
        raw: Sequence[bytes] = request.raw_input_contents
        if not raw or request.parameters or not all(array.dtype.kind in "fiu" for array in feeds.values()):
            return
        if not answer.raw_output_contents:
            return
        # What has no rows was not run, and must not be another time.
        if any(output.datatype == "BYTES" or 0 in output.shape for output in answer.outputs):
            return
        start = len(data) - sum(1 + len(_varint(len(part))) + len(part) for part in raw)
        if not 0 < start <= _MOST_PREFIX_BYTES:
            return
        prefix, slots = data[:start], []
        for (name, array), part in zip(feeds.items(), raw, strict=True):
            mark = _RAW_INPUT + _varint(len(part))
            start += len(mark)
            slots.append(_Slot(name, array.dtype, array.shape, mark, start, start + len(part)))
            start += len(part)
            if data[slots[-1].start : slots[-1].end] != part:
                return  # the contents do not stand in order at the end
        header = type(answer)()
        header.CopyFrom(answer)
        del header.raw_output_contents[:]
        layout = Layout(
            prefix,
            tuple(slots),
            signature,
            request.model_name,
            request.model_version,
            tuple(output.name for output in request.outputs),
            header.SerializeToString(),
            tuple(tuple(output.shape) for output in answer.outputs),
            tuple(_RAW_OUTPUT + _varint(len(part)) for part in answer.raw_output_contents),
            _limited(signature, slots, data),
        )
        if layout.fits(data):
            if len(self._known) >= _MOST_LAYOUTS:
                self._known.clear()
            self._known[len(data), data[:_KEY_BYTES]] = layout


def _limited(signature: Signature, slots: Sequence[_Slot], data: bytes) -> tuple[tuple[slice, bytes], ...] | None:
    places = [slice(slot.start, slot.end) for slot in slots if slot.name in signature.limited]
    taken = tuple((place, data[place]) for place in places)
    return taken if sum(len(values) for _, values in taken) <= _MOST_LIMITED_BYTES else None


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
