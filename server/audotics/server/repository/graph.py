"""An ONNX file, looked over before ONNX Runtime gets it: a path goes in, a file that must not be loaded is refused.

The server does without the `onnx` package, so this reads the protobuf wire format itself, and of it only what decides:
https://protobuf.dev/programming-guides/encoding and the field numbers of onnx/onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from audotics.server.errors import RefusedModelError

_DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Of operators that come with ONNX Runtime."""

_DEEPEST: Final = 32
_DTYPES: Final = {1: "<f4", 10: "<f2", 11: "<f8"}  # TensorProto.DataType: FLOAT, FLOAT16, DOUBLE

# Field numbers.
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTION = 7, 8, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES = 22, 23
_SPARSE_VALUES, _SPARSE_INDICES = 1, 2
_FUNCTION_NODE = 7
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_DOUBLES = 1, 2, 4, 8, 9, 10
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2

_Value = int | memoryview


@dataclass(slots=True)
class _Found:
    opsets: list[str] = field(default_factory=list)
    problem: str = ""


def look_over(path: Path, *, where: str) -> str:
    """Raises RefusedModelError for weights outside of the file, operators of other libraries, and weights that are NaN.

    Returns the operator sets that the graph asks for, in words, to go with what ONNX Runtime says of it.
    """
    found = _Found()
    with path.open("rb") as stream:
        if not path.stat().st_size:
            raise RefusedModelError(f"{where}: {path.name!r} is empty; export it again")
        # Not closed by hand: views of it live until the garbage collector has been, and it closes with them.
        data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        _model(data, found)
    except (ValueError, IndexError, RecursionError) as error:
        raise RefusedModelError(f"{where}: {path.name!r} is not an ONNX file; export it again") from error
    if found.problem:
        raise RefusedModelError(f"{where}: {path.name!r} {found.problem}")
    return ", ".join(found.opsets) or "none"


def _model(data: memoryview, found: _Found) -> None:
    for number, value in _fields(data):
        if number == _MODEL_GRAPH:
            _graph(_message(value), found, 0)
        elif number == _MODEL_FUNCTION:
            for inner, node in _fields(_message(value)):
                if inner == _FUNCTION_NODE:
                    _node(_message(node), found, 0)
        elif number == _MODEL_OPSET:
            opset = dict(_fields(_message(value)))
            found.opsets.append(f"{_text(opset.get(_OPSET_DOMAIN)) or 'ai.onnx'} {opset.get(_OPSET_VERSION, 0)}")


def _graph(data: memoryview, found: _Found, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("graphs within graphs")
    for number, value in _fields(data):
        if number == _GRAPH_NODE:
            _node(_message(value), found, depth)
        elif number == _GRAPH_INITIALIZER:
            _tensor(_message(value), found)
        elif number == _GRAPH_SPARSE:
            _sparse(_message(value), found)


def _node(data: memoryview, found: _Found, depth: int) -> None:
    domain = operator = ""
    for number, value in _fields(data):
        if number == _NODE_DOMAIN:
            domain = _text(value)
        elif number == _NODE_TYPE:
            operator = _text(value)
        elif number == _NODE_ATTRIBUTE:
            _attribute(_message(value), found, depth)
    if domain not in _DOMAINS:
        found.problem = (
            f"needs the operator {operator!r} of {domain!r}, a library of its own, which this server does not load; "
            "export it with standard operators"
        )


def _attribute(data: memoryview, found: _Found, depth: int) -> None:
    for number, value in _fields(data):
        if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
            _tensor(_message(value), found)
        elif number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            _graph(_message(value), found, depth + 1)
        elif number in (_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES):
            _sparse(_message(value), found)


def _sparse(data: memoryview, found: _Found) -> None:
    for number, value in _fields(data):
        if number in (_SPARSE_VALUES, _SPARSE_INDICES):
            _tensor(_message(value), found)


def _tensor(data: memoryview, found: _Found) -> None:
    dtype, raw, name, n_dims, external = 0, None, "", 0, False
    for number, value in _fields(data):
        if number == _TENSOR_TYPE and isinstance(value, int):
            dtype = value
        elif number in (_TENSOR_RAW, _TENSOR_FLOATS, _TENSOR_DOUBLES) and not isinstance(value, int):
            raw = value
        elif number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_DIMS:
            n_dims += 1
        elif number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value):
            external = True
    if external:
        found.problem = (
            f"keeps the weights {name[:80]!r} in another file; only what its manifest checks is loaded, so export it "
            "as one file"
        )
    # A single NaN may be meant, for comparing or filling; weights are many numbers.
    elif raw is not None and n_dims and dtype in _DTYPES and len(raw) % np.dtype(_DTYPES[dtype]).itemsize == 0:
        values = np.frombuffer(raw, _DTYPES[dtype])
        if len(values) > 1 and np.isnan(np.sum(values, dtype=np.float64)) and np.isnan(values).any():
            found.problem = f"has weights {name[:80]!r} that are NaN; train the model again"


def _fields(data: memoryview) -> Iterator[tuple[int, _Value]]:
    """Pairs of a field's number and its value: a number, or the bytes of a text, a message or packed numbers."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == 2:
            length, place = _varint(data, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place + length > len(data):
            raise ValueError("a field that ends after its message")
        yield number, data[place : place + length]
        place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of more than ten bytes")


def _message(value: _Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number in place of a message")
    return value


def _text(value: _Value | None) -> str:
    return "" if value is None else bytes(_message(value)[:256]).decode("utf-8", errors="replace")
