"""`tensorflow.serving.ModelService`: names and configurations go in, states of versions come out."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import grpc

from audotics.bundle.labels import is_label
from audotics.server.errors import FieldViolation, InvalidRequestError, NotFoundError
from audotics.server.services.models import ModelService
from audotics.server.services.tenancy import Tenancy
from audotics.server.transport.caller import caller_of, operator_of
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as pb
from audotics.server.transport.compat.tfs.answers import encode_status

SERVICE: Final = pb.POOL.service("tensorflow.serving.ModelService")

Context: TypeAlias = grpc.aio.ServicerContext


class ModelStatusServicer:
    """Errors are those of the services; the interceptor gives them their status."""

    def __init__(self, *, models: ModelService, tenancy: Tenancy) -> None:
        self._models = models
        self._tenancy = tenancy

    async def GetModelStatus(self, request: Any, context: Context) -> Any:  # noqa: N802
        spec = request.model_spec
        if not spec.name:
            raise InvalidRequestError([FieldViolation("model_spec.name", "Missing ModelSpec: a model must be named")])
        status = await self._models.model(self._tenancy.resolve(spec.name, caller_of(context).tenant))
        wanted = None
        match spec.WhichOneof("version_choice"):
            case "version":
                wanted = spec.version.value
            case "version_label":
                wanted = dict(status.labels).get(spec.version_label, 0)
        found = [version for version in status.versions if wanted in (None, version.version)]
        if not found:
            raise NotFoundError("model version", [f"{spec.name}/{spec.version_label or wanted}"])
        return encode_status(found)

    async def HandleReloadConfigRequest(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Load the versions that a policy names, and set the labels, of each model that is listed.

        Nothing is done where a name, a label or a version is wrong. A version that is there but is refused ends the
        call before any label is set; versions that were loaded by then stay loaded.

        Unlike TensorFlow Serving, models that are not listed stay as they are: the repository says what there is.
        """
        configs = request.config.model_config_list.config
        if request.config.WhichOneof("config") is None:
            raise InvalidRequestError([FieldViolation("config", "model_config_list is required")])
        _check_fields(configs)
        tenant, cause = caller_of(context).tenant, operator_of(context)
        named = [(self._tenancy.own(config.name, tenant), config) for config in configs]
        for name, config in named:
            await self._check_versions(name, config)
        for name, config in named:
            for version in config.model_version_policy.specific.versions:
                await self._models.load(name, version, cause=cause)
        for name, config in named:
            for label, version in sorted(config.version_labels.items()):
                await self._models.set_label(name, label, version, cause=cause)
        answer = pb.ReloadConfigResponse()
        answer.status.SetInParent()
        return answer

    async def _check_versions(self, name: str, config: Any) -> None:
        known = {status.version for status in (await self._models.model(name)).versions}
        for version in (*config.model_version_policy.specific.versions, *config.version_labels.values()):
            if version not in known:
                raise NotFoundError("model version", [f"{name}/{version}"])


def _check_fields(configs: Any) -> None:
    """Raises InvalidRequestError."""
    violations = []
    for place, config in enumerate(configs):
        path = f"config.model_config_list.config[{place}]"
        if not config.name:
            violations.append(FieldViolation(f"{path}.name", "is empty"))
        for label in config.version_labels:
            if not is_label(label):
                problem = f"has {label[:40]!r}, which is no label: lower-case letters, digits, '-' and '_', up to 32"
                violations.append(FieldViolation(f"{path}.version_labels", problem))
    if violations:
        raise InvalidRequestError(violations)
