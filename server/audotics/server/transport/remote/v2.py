"""A model on a server of the Open Inference Protocol v2 (Triton, KServe, Audotics): arrays go out, arrays come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.runtime.model import InferenceError, UnavailableModelError
from audotics.server.services.tensors import TensorError
from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.v2.codec import DTYPES, decode_outputs, encode_request
from audotics.server.transport.remote.call import RemoteCalls

_SERVICE: Final = "/inference.GRPCInferenceService"


class V2Model:
    """A Model. `version` is "" for whichever serves there."""

    waits: Final = True
    ends: Final = True
    device: Final = ""

    def __init__(self, calls: RemoteCalls, channel: grpc.Channel, *, name: str, version: str) -> None:
        """Ask the server what goes in and out. Raises InferenceError or UnavailableModelError."""
        self._calls = calls
        self._name, self._version = name, version
        self._infer = channel.unary_unary(
            f"{_SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        metadata = channel.unary_unary(
            f"{_SERVICE}/ModelMetadata", pb.ModelMetadataRequest.SerializeToString, pb.ModelMetadataResponse.FromString
        )
        answer = calls.call(metadata, pb.ModelMetadataRequest(name=name, version=version))
        self.platform: str = answer.platform
        self.inputs = tuple(_spec(tensor) for tensor in answer.inputs)
        self.outputs = tuple(_spec(tensor) for tensor in answer.outputs)
        self.axes: Mapping[str, tuple[int | str, ...]] = {
            spec.name: tuple("" if size < 0 else size for size in spec.shape) for spec in (*self.inputs, *self.outputs)
        }

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        """As Model has it."""
        try:
            request = encode_request(self._name, self._version, feeds, outputs)
        except KeyError as error:
            raise InferenceError(f"{self._calls.name}: the protocol of its server has no type for {error}") from error
        answer = self._calls.call(self._infer, request, deadline=deadline)
        try:
            arrays = decode_outputs(answer)
            return [arrays[name].copy() for name in outputs]  # what they are views of cannot be written to
        except (TensorError, KeyError) as error:
            raise UnavailableModelError(
                f"{self._name}: the answer of its server lacks an output or its data"
            ) from error


def _spec(tensor: Any) -> TensorSpec:
    dtype = DTYPES.get(tensor.datatype)
    # A type that is none of ours fits no manifest, so that the model is refused with both in the reason.
    return TensorSpec(tensor.name, tensor.datatype if dtype is None else dtype.name, tuple(tensor.shape))
