"""`inference.GRPCInferenceService`: requests of clients of the Open Inference Protocol go in, answers come out."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator
from importlib.metadata import version as package_version
from typing import Any, Final, TypeAlias

import grpc

from audotics.server.errors import AudoticsError, FieldViolation, InvalidRequestError, NotFoundError, NotReadyError
from audotics.server.repository.status import ModelStatus
from audotics.server.services.inference import Callee, InferenceService, InferQuery
from audotics.server.services.models import ModelService
from audotics.server.services.tenancy import Tenancy
from audotics.server.services.tensors import TensorError
from audotics.server.transport.caller import caller_of, operator_of
from audotics.server.transport.compat.handlers import parse
from audotics.server.transport.compat.ordered import in_order
from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.v2.codec import decode_inputs, encode_answer, requested_outputs
from audotics.server.transport.compat.v2.layouts import Layout, Layouts
from audotics.server.transport.compat.v2.parameters import wishes_of
from audotics.server.transport.compat.v2.repository import (
    check_repository,
    encode_config,
    encode_index,
    encode_metadata,
    encode_statistics,
    load_version,
)
from audotics.server.transport.deadline import deadline_of
from audotics.server.transport.status import status_of
from audotics.server.types import Caller

_LOG: Final = logging.getLogger(__name__)

POOL: Final = pb.POOL
SERVICE: Final = POOL.service("inference.GRPCInferenceService")
EXTENSIONS: Final = ("model_configuration", "model_repository", "statistics", "binary_tensor_data")
_CATALOG: Final = "catalog"
_FINAL: Final = "triton_final_response"

Context: TypeAlias = grpc.aio.ServicerContext


class InferenceServicer:
    """Errors of unary methods are those of the services; the interceptor gives them their status."""

    ENCODED: Final = ("ModelInfer",)

    def __init__(self, *, inference: InferenceService, models: ModelService, tenancy: Tenancy, instances: int) -> None:
        """`instances` is how many runs of a model may happen at once."""
        self._inference = inference
        self._models = models
        self._tenancy = tenancy
        self._instances = instances
        self._layouts = Layouts()

    async def ServerLive(self, request: Any, context: Context) -> Any:  # noqa: N802
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Context) -> Any:  # noqa: N802
        return pb.ServerReadyResponse(ready=self._inference.ready)

    async def ModelReady(self, request: Any, context: Context) -> Any:  # noqa: N802
        try:
            self._find(self._named(request.name, context), request.version, field="version")
        except (NotFoundError, NotReadyError):
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def ServerMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802
        return pb.ServerMetadataResponse(name="audotics", version=package_version("audotics"), extensions=EXTENSIONS)

    async def ModelMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802
        name = self._named(request.name, context)
        callee = self._find(name, request.version, field="version")
        return encode_metadata(callee.signature, self._models.loaded_versions(name))

    async def ModelConfig(self, request: Any, context: Context) -> Any:  # noqa: N802
        name = self._named(request.name, context)
        callee = self._find(name, request.version, field="version")
        return encode_config(callee.signature, self._models.loaded_versions(name), instances=self._instances)

    async def ModelInfer(self, data: bytes, context: Context) -> bytes:  # noqa: N802
        deadline, caller = deadline_of(context), caller_of(context)
        if (layout := self._layouts.find(data)) is not None:
            name = self._resolved(layout.model_name, caller.tenant)
            callee = self._find(name, layout.model_version, field="model_version")
            if callee.signature is layout.signature:
                return await self._infer_known(callee, layout, data, deadline, caller)
        answer = await self._infer(parse(pb.ModelInferRequest, data), deadline, caller, learn=data)
        return bytes(answer.SerializeToString())

    async def ModelStreamInfer(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:  # noqa: N802
        """One answer a message, in order. Messages of one stream run side by side, and their rows together."""

        async def answer(data: bytes) -> Any:
            return await self._stream_answer(data, deadline_of(context), caller_of(context))

        async for message in in_order(requests, answer):
            yield message

    async def ModelStatistics(self, request: Any, context: Context) -> Any:  # noqa: N802
        statistics = self._inference.statistics
        if request.name:
            names = [await self._known(request.name, context)]
        else:
            names = [model.name for model in await self._served_models(context)]
        wanted = None if not request.version else _number(request.version, field="version")
        entries = [
            (name, number, statistics.of(name, number))
            for name in names
            for number in sorted({*self._models.loaded_versions(name), *statistics.versions(name)})
            if wanted in (None, number)
        ]
        if wanted is not None and not entries:
            raise _unknown(NotFoundError("model version", [f"{request.name}/{wanted}"]), request.name, request.version)
        return encode_statistics(entries)

    async def RepositoryIndex(self, request: Any, context: Context) -> Any:  # noqa: N802
        check_repository(request)
        return encode_index(await self._served_models(context), ready=request.ready)

    async def RepositoryModelLoad(self, request: Any, context: Context) -> Any:  # noqa: N802
        number = load_version(request)
        name = self._tenancy.own(request.model_name, caller_of(context).tenant)
        if number is None:
            number = max(version.version for version in (await self._models.model(name)).versions)
        await self._models.load(name, number, cause=operator_of(context))
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(self, request: Any, context: Context) -> Any:  # noqa: N802
        name = self._tenancy.own(request.model_name, caller_of(context).tenant)
        check_repository(request)
        await self._models.unload_all(name, cause=operator_of(context))
        return pb.RepositoryModelUnloadResponse()

    async def _stream_answer(self, data: bytes, deadline: float | None, caller: Caller) -> Any:
        """What is wrong with one message is said in its place, and the stream goes on."""
        request_id = ""
        try:
            request = parse(pb.ModelInferRequest, data)
            request_id = request.id
            answer = await self._infer(request, deadline, caller)
            # Clients of models with several answers a request read from it which is the last.
            answer.parameters[_FINAL].bool_param = True
            return pb.ModelStreamInferResponse(infer_response=answer)
        except Exception as error:
            text = str(error)
            if not isinstance(error, AudoticsError) or status_of(error) is None:
                error_id = uuid.uuid4().hex
                _LOG.error("unexpected error %s in a stream", error_id, exc_info=error)
                text = f"internal error {error_id}"
            failed = pb.ModelInferResponse(id=request_id)
            return pb.ModelStreamInferResponse(error_message=text, infer_response=failed)

    async def _infer_known(
        self, callee: Callee, layout: Layout, data: bytes, deadline: float | None, caller: Caller
    ) -> bytes:
        query = InferQuery(layout.feeds(data), layout.outputs, deadline, caller, layout.known(data))
        try:
            inferred = await self._inference.infer(callee, query)
        except TensorError as error:
            raise error.of_request(parse(pb.ModelInferRequest, data).id) from error
        answer = layout.encode(inferred)
        if answer is None:
            request = parse(pb.ModelInferRequest, data)
            return bytes(encode_answer(request, callee.signature, inferred).SerializeToString())
        return answer

    async def _infer(self, request: Any, deadline: float | None, caller: Caller, *, learn: bytes = b"") -> Any:
        """`learn` is how the request was encoded."""
        name = self._resolved(request.model_name, caller.tenant)
        callee = self._find(name, request.model_version, field="model_version")
        try:
            wishes = wishes_of(request)
            feeds, outputs = decode_inputs(request), requested_outputs(request)
            deadline = _earlier(deadline, wishes.timeout_us)
            query = InferQuery(feeds, outputs, deadline, wishes.caller(caller))
            inferred = await self._inference.infer(callee, query)
        except TensorError as error:
            raise error.of_request(request.id) from error
        answer = encode_answer(request, callee.signature, inferred)
        if learn:
            self._layouts.learn(learn, request, callee.signature, feeds, answer)
        return answer

    def _find(self, name: str, version: str, *, field: str) -> Callee:
        """Version "" is the one that serves; what is no number is a label."""
        try:
            if not version:
                return self._inference.find(name)
            if version.isdecimal():
                return self._inference.find(name, version=_number(version, field=field))
            return self._inference.find(name, label=version)
        except NotFoundError as error:
            raise _unknown(error, name, version) from error

    async def _known(self, name: str, context: Context) -> str:
        """A model that is there, loaded or not."""
        found = self._named(name, context)
        try:
            if found == _CATALOG:
                raise NotFoundError("model", [name])
            await self._models.model(found)
        except NotFoundError as error:
            raise _unknown(error, name, "") from error
        return found

    def _named(self, name: str, context: Context) -> str:
        return self._resolved(name, caller_of(context).tenant)

    def _resolved(self, name: str, tenant: str) -> str:
        try:
            return self._tenancy.resolve(name, tenant)
        except NotFoundError as error:
            raise _unknown(error, name, "") from error

    async def _served_models(self, context: Context) -> list[ModelStatus]:
        tenant = caller_of(context).tenant
        return [
            model
            for model in await self._models.models()
            if model.kind != _CATALOG and self._tenancy.sees(model.name, tenant)
        ]


def _unknown(error: NotFoundError, name: str, version: str) -> NotFoundError:
    """The same error in the words of Triton."""
    asked = f"'{name}' version {version}" if error.resource_type == "model version" else f"'{name}'"
    return error.in_words(
        f"Request for unknown model: {asked} is not found" + (f"; {error.hint}" if error.hint else "")
    )


def _number(version: str, *, field: str) -> int:
    if not version.isdecimal() or len(version) > 18:
        raise InvalidRequestError([FieldViolation(field, f"is {version[:40]!r}; send the number of a version")])
    return int(version)


def _earlier(deadline: float | None, timeout_us: int) -> float | None:
    """Triton's parameter `timeout` limits the wait, in microseconds."""
    if timeout_us <= 0:
        return deadline
    limit = time.monotonic() + timeout_us / 1e6
    return limit if deadline is None else min(deadline, limit)
