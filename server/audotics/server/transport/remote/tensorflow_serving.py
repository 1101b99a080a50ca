"""A model on TensorFlow Serving: arrays go out, arrays come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.runtime.model import InferenceError, UnavailableModelError
from audotics.server.services.tensors import TensorError
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as pb
from audotics.server.transport.compat.tfs.answers import DEFAULT_SIGNATURE, METADATA_FIELD
from audotics.server.transport.compat.tfs.tensors import decode_tensor, dtype_name, encode_tensor
from audotics.server.transport.remote.call import RemoteCalls

_SERVICE: Final = "/tensorflow.serving.PredictionService"


class TensorFlowServingModel:
    """A Model. `version` is None for whichever serves there."""

    platform: Final = "tensorflow_savedmodel"
    waits: Final = True
    ends: Final = True
    device: Final = ""

    def __init__(self, calls: RemoteCalls, channel: grpc.Channel, *, name: str, version: int | None) -> None:
        """Ask the server what goes in and out. Raises InferenceError or UnavailableModelError."""
        self._calls = calls
        self._name = name
        self._spec = pb.ModelSpec(name=name, signature_name=DEFAULT_SIGNATURE)
        if version is not None:
            self._spec.version.value = version
        self._predict = channel.unary_unary(
            f"{_SERVICE}/Predict", pb.PredictRequest.SerializeToString, pb.PredictResponse.FromString
        )
        metadata = channel.unary_unary(
            f"{_SERVICE}/GetModelMetadata",
            pb.GetModelMetadataRequest.SerializeToString,
            pb.GetModelMetadataResponse.FromString,
        )
        # The metadata know no name of a signature: all of them come.
        asked = pb.ModelSpec(name=name)
        if version is not None:
            asked.version.value = version
        answer = calls.call(metadata, pb.GetModelMetadataRequest(model_spec=asked, metadata_field=[METADATA_FIELD]))
        signatures = pb.SignatureDefMap()
        if METADATA_FIELD not in answer.metadata or not answer.metadata[METADATA_FIELD].Unpack(signatures):
            raise InferenceError(f"{name}: its server gives no signature of it")
        if DEFAULT_SIGNATURE not in signatures.signature_def:
            raise InferenceError(f"{name}: on its server it has no signature {DEFAULT_SIGNATURE!r}")
        signature = signatures.signature_def[DEFAULT_SIGNATURE]
        self.inputs = tuple(_spec(key, info) for key, info in sorted(signature.inputs.items()))
        self.outputs = tuple(_spec(key, info) for key, info in sorted(signature.outputs.items()))
        self.axes: Mapping[str, tuple[int | str, ...]] = {
            spec.name: tuple("" if size < 0 else size for size in spec.shape) for spec in (*self.inputs, *self.outputs)
        }

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        """As Model has it."""
        try:
            inputs = {name: encode_tensor(array, packed=True) for name, array in feeds.items()}
        except KeyError as error:
            raise InferenceError(f"{self._calls.name}: the protocol of its server has no type for {error}") from error
        request = pb.PredictRequest(model_spec=self._spec, inputs=inputs, output_filter=outputs)
        answer = self._calls.call(self._predict, request, deadline=deadline)
        try:
            arrays = [decode_tensor(answer.outputs[name], name) for name in outputs]
            return [array if array.flags.writeable else array.copy() for array in arrays]
        except TensorError as error:
            raise UnavailableModelError(
                f"{self._name}: the answer of its server lacks an output or its data"
            ) from error


def _spec(name: str, info: Any) -> TensorSpec:
    return TensorSpec(name, dtype_name(info.dtype), tuple(dim.size for dim in info.tensor_shape.dim))
