"""`tensorflow.serving.PredictionService`: tensors or examples go in, a model's outputs, classes or numbers come out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import grpc

from audotics.server.errors import FieldViolation, InvalidRequestError, NotFoundError
from audotics.server.services.inference import Callee, InferenceService, InferQuery
from audotics.server.services.signature import Signature
from audotics.server.services.tenancy import Tenancy
from audotics.server.services.tensors import TensorError
from audotics.server.transport.caller import caller_of
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as pb
from audotics.server.transport.compat.tfs.answers import (
    DEFAULT_SIGNATURE,
    METADATA_FIELD,
    class_output,
    encode_classes,
    encode_metadata,
    encode_numbers,
    encode_spec,
    number_output,
    unknown_label,
)
from audotics.server.transport.compat.tfs.examples import decode_examples
from audotics.server.transport.compat.tfs.tensors import decode_tensor, encode_tensor
from audotics.server.transport.deadline import deadline_of

POOL: Final = pb.POOL
SERVICE: Final = POOL.service("tensorflow.serving.PredictionService")

_CLASSIFY: Final = "tensorflow/serving/classify"
_REGRESS: Final = "tensorflow/serving/regress"

Context: TypeAlias = grpc.aio.ServicerContext


class PredictionServicer:
    """Errors are those of the services; the interceptor gives them their status."""

    def __init__(self, *, inference: InferenceService, tenancy: Tenancy) -> None:
        self._inference = inference
        self._tenancy = tenancy

    async def Predict(self, request: Any, context: Context) -> Any:  # noqa: N802
        callee = self._find(request.model_spec, context)
        signature = callee.signature
        _check_inputs(request.inputs, signature)
        _check_filter(request.output_filter, signature.outputs)
        feeds = {name: decode_tensor(tensor, name) for name, tensor in request.inputs.items()}
        query = InferQuery(feeds, list(request.output_filter), deadline_of(context), caller_of(context))
        inferred = await self._inference.infer(callee, query)
        outputs = {name: encode_tensor(array) for name, array in zip(inferred.outputs, inferred.arrays, strict=True)}
        return pb.PredictResponse(model_spec=encode_spec(signature), outputs=outputs)

    async def Classify(self, request: Any, context: Context) -> Any:  # noqa: N802
        callee = self._find(request.model_spec, context)
        result = await self._classes(callee, request.input, context)
        return pb.ClassificationResponse(model_spec=encode_spec(callee.signature), result=result)

    async def Regress(self, request: Any, context: Context) -> Any:  # noqa: N802
        callee = self._find(request.model_spec, context)
        result = await self._numbers(callee, request.input, context)
        return pb.RegressionResponse(model_spec=encode_spec(callee.signature), result=result)

    async def MultiInference(self, request: Any, context: Context) -> Any:  # noqa: N802
        """The tasks one after the other. Unlike TensorFlow Serving, they may be of several models."""
        if not request.tasks:
            raise InvalidRequestError([FieldViolation("tasks", "Inference request must have at least one task")])
        answer = pb.MultiInferenceResponse()
        for place, task in enumerate(request.tasks):
            if task.method_name not in (_CLASSIFY, _REGRESS):
                raise InvalidRequestError(
                    [
                        FieldViolation(
                            f"tasks[{place}].method_name", f"Unsupported signature method_name: {task.method_name}"
                        )
                    ]
                )
            callee = self._find(task.model_spec, context)
            result = answer.results.add(model_spec=encode_spec(callee.signature))
            if task.method_name == _CLASSIFY:
                result.classification_result.CopyFrom(await self._classes(callee, request.input, context))
            else:
                result.regression_result.CopyFrom(await self._numbers(callee, request.input, context))
        return answer

    async def GetModelMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802
        if not request.metadata_field:
            raise InvalidRequestError([FieldViolation("metadata_field", f"must be specified; known: {METADATA_FIELD}")])
        for place, field in enumerate(request.metadata_field):
            if field != METADATA_FIELD:
                raise InvalidRequestError(
                    [FieldViolation(f"metadata_field[{place}]", f"Metadata field {field} is not supported")]
                )
        return encode_metadata(self._find(request.model_spec, context).signature)

    async def _classes(self, callee: Callee, source: Any, context: Context) -> Any:
        output = class_output(callee.signature)
        feeds = decode_examples(source, callee.signature)
        inferred = await self._inference.infer(
            callee, InferQuery(feeds, [output], deadline_of(context), caller_of(context))
        )
        return encode_classes(callee.signature, inferred.arrays[0])

    async def _numbers(self, callee: Callee, source: Any, context: Context) -> Any:
        output = number_output(callee.signature)
        feeds = decode_examples(source, callee.signature)
        inferred = await self._inference.infer(
            callee, InferQuery(feeds, [output], deadline_of(context), caller_of(context))
        )
        return encode_numbers(inferred.arrays[0])

    def _find(self, spec: Any, context: Context) -> Callee:
        if not spec.name:
            raise InvalidRequestError([FieldViolation("model_spec.name", "Missing ModelSpec: a model must be named")])
        if spec.signature_name not in ("", DEFAULT_SIGNATURE):
            raise InvalidRequestError(
                [
                    FieldViolation(
                        "model_spec.signature_name",
                        f'Serving signature key "{spec.signature_name}" not found; there is {DEFAULT_SIGNATURE}',
                    )
                ]
            )
        choice = spec.WhichOneof("version_choice")
        try:
            name = self._tenancy.resolve(spec.name, caller_of(context).tenant)
            match choice:
                case "version":
                    return self._inference.find(name, version=spec.version.value)
                case "version_label":
                    return self._inference.find(name, label=spec.version_label)
                case _:
                    return self._inference.find(name)
        except NotFoundError as error:
            if choice == "version_label" and error.resource_type == "model version":
                raise unknown_label(spec.version_label) from error
            asked = f"Specific({spec.name}, {spec.version.value})" if choice == "version" else f"Latest({spec.name})"
            # Word for word: there are clients that ask for a model that is not there, to see whether a server is.
            raise error.in_words(f"Servable not found for request: {asked}") from error


def _check_inputs(given: Any, signature: Signature) -> None:
    sent, expected = set(given), set(signature.inputs)
    if sent == expected:
        return
    if len(sent) == len(expected):
        problem = (
            f"input tensor alias not found in signature: {_listed(sent - expected)}. Inputs expected to be in the set "
            f"{{{_listed(expected)}}}."
        )
    else:
        problem = (
            f"input size does not match signature: {len(sent)}!={len(expected)} len({{{_listed(sent)}}}) != "
            f"len({{{_listed(expected)}}}). Sent extra: {{{_listed(sent - expected)}}}. Missing but required: "
            f"{{{_listed(expected - sent)}}}."
        )
    raise TensorError(problem, field="inputs")


def _listed(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def _check_filter(names: Any, outputs: Any) -> None:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name not in outputs:
            raise TensorError(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{{{','.join(outputs)}}}.",
                field=f"output_filter[{place}]",
            )
        if name in seen:
            raise TensorError(f"duplicate output tensor alias: {name}", field=f"output_filter[{place}]")
        seen.add(name)
