"""Tensors of the Open Inference Protocol and arrays: messages go in, arrays come out, and the other way round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.services.inference import Inferred
from audotics.server.services.signature import DATATYPES, Signature
from audotics.server.services.tensors import TensorError, check_empty, list_sizes
from audotics.server.transport.compat.stubs import inference_pb2 as pb

BYTES: Final = "BYTES"
_LENGTH_BYTES: Final = 4

DTYPES: Final = {datatype: np.dtype(name).newbyteorder("<") for name, datatype in DATATYPES.items()}
_NAMES: Final = {np.dtype(name): datatype for name, datatype in DATATYPES.items()}
_CONTENTS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""FP16 has none: it travels raw."""


def decode_inputs(request: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a ModelInferRequest by name, as the request describes them. Raises TensorError."""
    raw, model = request.raw_input_contents, request.model_name
    tensors = request.inputs
    if raw and len(raw) != len(tensors):
        for place, tensor in enumerate(tensors):  # tensors in shared memory have no contents, and that is what is wrong
            _refuse_parameters(tensor, f"inputs[{place}]")
        raise TensorError(
            f"expected {len(tensors)} raw input contents for model '{model}', one an input, got {len(raw)}",
            field="raw_input_contents",
        )
    arrays: dict[str, NDArray[Any]] = {}
    for place, tensor in enumerate(tensors):
        name, shape = tensor.name, tuple(tensor.shape)
        if name in arrays:
            raise TensorError(f"input '{name}' already exists in request for model '{model}'", field=f"inputs[{place}]")
        dtype = DTYPES.get(tensor.datatype)
        if dtype is None:
            raise TensorError(
                f"inference input '{name}' for model '{model}' has unknown data-type '{tensor.datatype}'; "
                f"known: {', '.join(DTYPES)}",
                field=f"inputs[{place}].datatype",
            )
        if shape and min(shape) < 0:
            raise TensorError(
                f"unexpected shape for input '{name}' for model '{model}'. Expected sizes of 0 or more, got "
                f"{list_sizes(shape)}",
                field=f"inputs[{place}].shape",
            )
        if tensor.parameters:
            _refuse_parameters(tensor, f"inputs[{place}]")
        count = math.prod(shape)
        if not count:
            check_empty(shape, name=name, field=f"inputs[{place}].shape")
        if not raw:
            flat = _typed(tensor, dtype, count, model=model, field=f"inputs[{place}].contents")
        elif tensor.HasField("contents"):
            raise TensorError(
                f"contents field must not be specified when using raw_input_contents for '{name}' for model '{model}'",
                field=f"inputs[{place}].contents",
            )
        else:
            flat = from_raw(raw[place], dtype, count, f"'{name}' for model '{model}'", f"raw_input_contents[{place}]")
        arrays[name] = flat.reshape(shape)
    return arrays


def requested_outputs(request: Any) -> list[str]:
    """Names of the outputs that a request asks for. Raises TensorError for one that stands twice."""
    names: list[str] = []
    for place, output in enumerate(request.outputs):
        if output.parameters:
            _refuse_parameters(output, f"outputs[{place}]")
        if output.name in names:
            raise TensorError(f"output '{output.name}' already requested", field=f"outputs[{place}]")
        names.append(output.name)
    return names


def encode_answer(request: Any, signature: Signature, inferred: Inferred) -> Any:
    """Raw contents, unless the request had typed ones and every output can have them, too."""
    answer = pb.ModelInferResponse(model_name=signature.name, model_version=str(signature.version), id=request.id)
    typed = not request.raw_input_contents and len(request.inputs) > 0
    datatypes = [_NAMES[array.dtype] for array in inferred.arrays]
    typed = typed and all(datatype in _CONTENTS for datatype in datatypes)
    for name, datatype, array in zip(inferred.outputs, datatypes, inferred.arrays, strict=True):
        output = answer.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if not typed:
            answer.raw_output_contents.append(to_raw(array))
        elif datatype == BYTES:
            output.contents.bytes_contents.extend(_texts(array))
        else:
            getattr(output.contents, _CONTENTS[datatype]).extend(array.ravel().tolist())
    return answer


def encode_request(name: str, version: str, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> Any:
    """What we ask of another server, with raw contents."""
    request = pb.ModelInferRequest(model_name=name, model_version=version)
    for key, array in feeds.items():
        request.inputs.add(name=key, datatype=_NAMES[array.dtype], shape=array.shape)
        request.raw_input_contents.append(to_raw(array))
    for output in outputs:
        request.outputs.add(name=output)
    return request


def decode_outputs(answer: Any) -> dict[str, NDArray[Any]]:
    """The arrays of another server's ModelInferResponse by name. Raises TensorError."""
    raw, model = answer.raw_output_contents, answer.model_name
    arrays: dict[str, NDArray[Any]] = {}
    for place, tensor in enumerate(answer.outputs):
        dtype, shape, field = DTYPES.get(tensor.datatype), tuple(tensor.shape), f"outputs[{place}]"
        if dtype is None or (raw and len(raw) <= place) or (shape and min(shape) < 0):
            raise TensorError(f"output '{tensor.name}' of model '{model}' cannot be read", field=field)
        count = math.prod(shape)
        where = f"'{tensor.name}' of model '{model}'"
        flat = (
            from_raw(raw[place], dtype, count, where, field)
            if raw
            else _typed(tensor, dtype, count, model=model, field=field)
        )
        arrays[tensor.name] = flat.reshape(shape)
    return arrays


def _refuse_parameters(message: Any, field: str) -> None:
    """Some parameters change what an answer means. They are refused, since leaving them out would answer falsely."""
    for key in message.parameters:
        if key.startswith("shared_memory_"):
            raise TensorError("shared memory is not supported; send and take contents", field=f"{field}.parameters")
        if key == "classification" and message.parameters[key].int64_param:
            raise TensorError(
                "the classification extension is not supported; ask for the output itself", field=f"{field}.parameters"
            )


def from_raw(data: bytes, dtype: np.dtype[Any], count: int, where: str, field: str) -> NDArray[Any]:
    if dtype.hasobject:
        return _textsfrom_raw(data, count, where, field)
    if len(data) != count * dtype.itemsize:
        raise TensorError(
            f"input byte size mismatch for input {where}. Expected {count * dtype.itemsize}, got {len(data)}",
            field=field,
        )
    if dtype == np.bool_:
        return np.frombuffer(data, np.uint8).astype(np.bool_)
    return np.frombuffer(data, dtype)


def _textsfrom_raw(data: bytes, count: int, where: str, field: str) -> NDArray[Any]:
    texts: list[bytes] = []
    start = 0
    while start < len(data):
        end = start + _LENGTH_BYTES
        stop = end + int.from_bytes(data[start:end], "little")
        if stop > len(data):
            raise TensorError(f"incomplete string data for inference input {where}", field=field)
        texts.append(data[end:stop])
        start = stop
    if len(texts) != count:
        raise TensorError(f"expected {count} strings for inference input {where}, got {len(texts)}", field=field)
    return _text_array(texts, where, field)


def _typed(tensor: Any, dtype: np.dtype[Any], count: int, *, model: str, field: str) -> NDArray[Any]:
    where = f"'{tensor.name}' for model '{model}'"
    wanted = _CONTENTS.get(tensor.datatype)
    if wanted is None:
        raise TensorError(f"input {where} is {tensor.datatype}, which travels in raw_input_contents only", field=field)
    contents = tensor.contents
    for descriptor, _ in contents.ListFields():
        if descriptor.name != wanted:
            raise TensorError(
                f"unexpected explicit tensor data for input tensor {where} of type {tensor.datatype}: its elements "
                f"stand in {wanted}, not in {descriptor.name}",
                field=f"{field}.{descriptor.name}",
            )
    values = getattr(contents, wanted)
    if len(values) != count:
        raise TensorError(
            f"unexpected number of elements for input {where}. Shape {list_sizes(tensor.shape)} has {count}, "
            f"got {len(values)}",
            field=f"{field}.{wanted}",
        )
    if dtype.hasobject:
        return _text_array(list(values), where, f"{field}.{wanted}")
    array: NDArray[Any] = np.asarray(values, {"f": np.float64, "b": np.bool_, "u": np.uint64}.get(dtype.kind, np.int64))
    if dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        if not limits.min <= array.min() <= array.max() <= limits.max:
            raise TensorError(
                f"input {where} is {tensor.datatype}; send values from {limits.min} to {limits.max}",
                field=f"{field}.{wanted}",
            )
    return array.astype(dtype)


def _text_array(texts: Sequence[bytes], where: str, field: str) -> NDArray[Any]:
    array = np.empty(len(texts), np.object_)
    try:
        array[:] = [text.decode() for text in texts]
    except UnicodeDecodeError as error:
        raise TensorError(f"inference input {where} has a string that is not UTF-8", field=field) from error
    return array


def to_raw(array: NDArray[Any]) -> bytes:
    if not array.dtype.hasobject:
        return array.tobytes()
    return b"".join(len(text).to_bytes(_LENGTH_BYTES, "little") + text for text in _texts(array))


def _texts(array: NDArray[Any]) -> list[bytes]:
    return [str(text).encode() for text in array.ravel()]
