"""TensorFlow's tensors and arrays: a TensorProto goes in, an array comes out, and the other way round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.services.tensors import TensorError, check_empty, list_sizes
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as pb

_STRING: Final = 7
_HALF: Final = 19
_TYPES: Final[dict[int, tuple[str, str, str]]] = {
    1: ("float32", "DT_FLOAT", "float_val"),
    2: ("float64", "DT_DOUBLE", "double_val"),
    3: ("int32", "DT_INT32", "int_val"),
    4: ("uint8", "DT_UINT8", "int_val"),
    5: ("int16", "DT_INT16", "int_val"),
    6: ("int8", "DT_INT8", "int_val"),
    _STRING: ("object", "DT_STRING", "string_val"),
    9: ("int64", "DT_INT64", "int64_val"),
    10: ("bool", "DT_BOOL", "bool_val"),
    17: ("uint16", "DT_UINT16", "int_val"),
    _HALF: ("float16", "DT_HALF", "half_val"),
    22: ("uint32", "DT_UINT32", "uint32_val"),
    23: ("uint64", "DT_UINT64", "uint64_val"),
}
"""By number: NumPy's name, TensorFlow's, and the field of the elements."""

DATA_TYPES: Final = {name: number for number, (name, _, _) in _TYPES.items()}

_MOST_REPEATED: Final = 2**20
"""A tensor may give one element for all places. Up to so many, since a shape is quickly written."""


def decode_tensor(tensor: Any, name: str) -> NDArray[Any]:
    """The array of the input `name`. Raises TensorError."""
    field = f"inputs[{name}]"
    if tensor.dtype not in _TYPES:
        known = ", ".join(label for _, label, _ in _TYPES.values())
        raise TensorError(f"input {name!r} has the data type {tensor.dtype}; known: {known}", field=f"{field}.dtype")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise TensorError(
            f"input {name!r} has the shape {list_sizes(shape)}; every size must be known", field=f"{field}.tensor_shape"
        )
    kind, label, values_field = _TYPES[tensor.dtype]
    count = math.prod(shape)
    if not count:
        check_empty(shape, name=name, field=f"{field}.tensor_shape")
    if tensor.tensor_content:
        flat = _from_content(
            tensor, np.dtype(kind), count, f"input {name!r} of type {label}", f"{field}.tensor_content"
        )
    else:
        values = getattr(tensor, values_field)
        if len(values) != count and (len(values) != 1 or count > _MOST_REPEATED):
            raise TensorError(
                f"input {name!r} of type {label} has {len(values)} elements in {values_field}, its shape "
                f"{list_sizes(shape)} has {count}",
                field=f"{field}.{values_field}",
            )
        flat = _from_values(values, tensor.dtype, np.dtype(kind), f"input {name!r}", f"{field}.{values_field}")
        if len(flat) != count:
            flat = np.repeat(flat, count)
    return flat.reshape(shape)


def dtype_name(number: int) -> str:
    """NumPy's name of a type, or its number where it is none of ours."""
    return _TYPES[number][0] if number in _TYPES else str(number)


def encode_tensor(array: NDArray[Any], *, packed: bool = False) -> Any:
    """Elements stand in the field of their type, as TensorFlow Serving has them, or `packed` as bytes."""
    number = DATA_TYPES[array.dtype.name]
    tensor = pb.TensorProto(dtype=number)
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if packed and number != _STRING:
        tensor.tensor_content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        return tensor
    if number == _STRING:
        values: Sequence[Any] = [str(text).encode() for text in array.ravel()]
    else:
        values = (array.view(np.uint16) if number == _HALF else array).ravel().tolist()
    getattr(tensor, _TYPES[number][2]).extend(values)
    return tensor


def _from_content(tensor: Any, dtype: np.dtype[Any], count: int, where: str, field: str) -> NDArray[Any]:
    if dtype.hasobject:
        raise TensorError(f"{where} has its elements in tensor_content; send them in string_val", field=field)
    data = tensor.tensor_content
    if len(data) != count * dtype.itemsize:
        raise TensorError(
            f"{where} has {len(data)} bytes of content; its shape needs {count * dtype.itemsize}", field=field
        )
    if dtype == np.bool_:
        return np.frombuffer(data, np.uint8).astype(np.bool_)
    return np.frombuffer(data, dtype.newbyteorder("<"))


def _from_values(values: Any, number: int, dtype: np.dtype[Any], where: str, field: str) -> NDArray[Any]:
    if number == _STRING:
        array = np.empty(len(values), np.object_)
        try:
            array[:] = [value.decode() for value in values]
        except UnicodeDecodeError as error:
            raise TensorError(f"{where} has a string that is not UTF-8", field=field) from error
        return array
    if number == _HALF:
        bits = np.asarray(values, np.int64)
        if len(bits) and not 0 <= bits.min() <= bits.max() < 2**16:
            raise TensorError(f"{where} has a half_val that is not the 16 bits of a number", field=field)
        return bits.astype(np.uint16).view(np.float16)
    widest = {"f": np.float64, "b": np.bool_, "i": np.int64, "u": np.uint64}[dtype.kind]
    if _TYPES[number][2] == "int_val":
        widest = np.int64
    wide: NDArray[Any] = np.asarray(values, widest)
    if dtype.kind in "iu" and len(wide):
        limits = np.iinfo(dtype)
        if not limits.min <= wide.min() <= wide.max() <= limits.max:
            raise TensorError(f"{where} has a value outside {limits.min}..{limits.max}", field=field)
    return wide.astype(dtype)
