"""What TensorFlow Serving says about a model and its outputs: signatures and arrays go in, messages come out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.repository.status import VersionState, VersionStatus
from audotics.server.services.signature import Signature
from audotics.server.services.tensors import TensorError
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as pb
from audotics.server.transport.compat.tfs.tensors import DATA_TYPES

DEFAULT_SIGNATURE: Final = "serving_default"
METADATA_FIELD: Final = "signature_def"
_PREDICT: Final = "tensorflow/serving/predict"
_FAILED_PRECONDITION: Final = 9
_STATES: Final = {
    VersionState.IN_SERVICE: 30,
    VersionState.LOADED: 30,
    VersionState.ON_DISK: 50,
    VersionState.REFUSED: 50,
}
"""AVAILABLE for what can be called, END for the rest."""


def encode_spec(signature: Signature) -> Any:
    spec = pb.ModelSpec(name=signature.name, signature_name=DEFAULT_SIGNATURE)
    spec.version.value = signature.version
    return spec


def encode_metadata(signature: Signature) -> Any:
    """The model's only signature, as SavedModels name it."""

    def tensors(specs: Iterable[TensorSpec]) -> dict[str, Any]:
        return {
            spec.name: pb.TensorInfo(
                name=f"{spec.name}:0",
                dtype=DATA_TYPES[spec.dtype],
                tensor_shape=pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in spec.shape]),
            )
            for spec in specs
        }

    definition = pb.SignatureDef(
        inputs=tensors(signature.inputs.values()), outputs=tensors(signature.outputs.values()), method_name=_PREDICT
    )
    answer = pb.GetModelMetadataResponse(model_spec=encode_spec(signature))
    answer.metadata[METADATA_FIELD].Pack(pb.SignatureDefMap(signature_def={DEFAULT_SIGNATURE: definition}))
    return answer


def unknown_label(label: str) -> TensorError:
    """The error for a label that no version of the model carries."""
    return TensorError(f"Unrecognized servable version label: {label}", field="model_spec.version_label")


def class_output(signature: Signature) -> str:
    """The output with a column for each class. Raises TensorError."""
    for spec in signature.outputs.values():
        if signature.classes and len(spec.shape) == 2 and spec.shape[1] in (-1, len(signature.classes)):
            return spec.name
    raise TensorError(f"model '{signature.name}' has no classes; call Predict or Regress", field="model_spec")


def number_output(signature: Signature) -> str:
    """The first output with one number a row. Raises TensorError."""
    for spec in signature.outputs.values():
        if spec.shape in ((-1,), (-1, 1)):
            return spec.name
    raise TensorError(f"model '{signature.name}' has no output of one number a row; call Predict", field="model_spec")


def encode_classes(signature: Signature, probabilities: NDArray[Any]) -> Any:
    result = pb.ClassificationResult()
    for row in probabilities.tolist():
        found = result.classifications.add()
        for label, score in zip(signature.classes, row, strict=True):
            found.classes.add(label=label, score=score)
    return result


def encode_numbers(values: NDArray[Any]) -> Any:
    result = pb.RegressionResult()
    for value in np.ravel(values).tolist():
        result.regressions.add(value=value)
    return result


def encode_status(versions: Iterable[VersionStatus]) -> Any:
    answer = pb.GetModelStatusResponse()
    for version in versions:
        added = answer.model_version_status.add(version=version.version, state=_STATES[version.state])
        # TensorFlow Serving always has a status, OK as well.
        added.status.SetInParent()
        if version.reason:
            added.status.error_code, added.status.error_message = _FAILED_PRECONDITION, version.reason
    return answer
