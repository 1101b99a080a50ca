"""`tensorflow.serving.ModelService`: names and configurations go in, states of versions come out."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import grpc

from audotics.bundle.labels import is_label
from audotics.server.errors import FieldViolation, InvalidRequestError, NotFoundError
from audotics.server.repository.wishes import ModelWish
from audotics.server.services.models import ModelService
from audotics.server.services.tenancy import Tenancy
from audotics.server.transport.caller import caller_of, operator_of
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as pb
from audotics.server.transport.compat.tfs.answers import encode_status, unknown_label

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
        try:
            name = self._tenancy.resolve(spec.name, caller_of(context).tenant)
            status = await self._models.model(name)
        except NotFoundError as error:
            raise error.in_words(f"Could not find any versions of model {spec.name}") from error
        wanted = None
        match spec.WhichOneof("version_choice"):
            case "version":
                wanted = spec.version.value
            case "version_label":
                wanted = status.labels.get(spec.version_label)
                if wanted is None:
                    raise unknown_label(spec.version_label)
        found = [version for version in status.versions if wanted in (None, version.version)]
        if not found:
            raise _unknown_version(name, wanted, spec.name)
        return encode_status(found)

    async def HandleReloadConfigRequest(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Load the versions that policies ask for, and set the labels, of each model that is listed.

        Of the versions of a model the highest is to serve, unless the label `stable` says otherwise. All of it is done
        in one step, and nothing where a name, a label or a version is wrong or refused.

        Unlike TensorFlow Serving, what is not listed stays as it is: the repository says what there is.
        """
        configs = request.config.model_config_list.config
        if request.config.WhichOneof("config") is None:
            raise InvalidRequestError([FieldViolation("config", "model_config_list is required")])
        _check_fields(configs)
        tenant, cause = caller_of(context).tenant, operator_of(context)
        wishes = []
        for config in configs:
            name = self._tenancy.own(config.name, tenant)
            versions = await self._wanted_versions(name, config)
            wishes.append(ModelWish(name, versions=tuple(versions), labels=dict(config.version_labels)))
        await self._models.configure(wishes, cause=cause)
        answer = pb.ReloadConfigResponse()
        answer.status.SetInParent()
        return answer

    async def _wanted_versions(self, name: str, config: Any) -> list[int]:
        """Those that the policy asks for, the lowest first. Raises NotFoundError, also for labels of other versions."""
        known = sorted(status.version for status in (await self._models.model(name)).versions)
        policy = config.model_version_policy
        for version in (*policy.specific.versions, *config.version_labels.values()):
            if version not in known:
                raise _unknown_version(name, version, config.name)
        match policy.WhichOneof("policy_choice"):
            case "specific":
                return sorted(set(policy.specific.versions))
            case "latest":
                return known[-max(1, policy.latest.num_versions) :]
            case "all":
                return known
        return []


def _unknown_version(name: str, version: int | None, called: str) -> NotFoundError:
    """`called` is what the caller calls the model `name`."""
    error = NotFoundError("model version", [f"{name}/{version}"])
    return error.in_words(f"Could not find version {version} of model {called}")


def _check_fields(configs: Any) -> None:
    """Raises InvalidRequestError."""
    violations = []
    listed: set[str] = set()
    for place, config in enumerate(configs):
        path = f"config.model_config_list.config[{place}]"
        if not config.name:
            violations.append(FieldViolation(f"{path}.name", "is empty"))
        elif config.name in listed:
            problem = f"Illegal to list model {config.name} multiple times in config list"
            violations.append(FieldViolation(f"{path}.name", problem))
        listed.add(config.name)
        for label in config.version_labels:
            if not is_label(label):
                problem = f"has {label[:40]!r}, which is no label: lower-case letters, digits, '-' and '_', up to 32"
                violations.append(FieldViolation(f"{path}.version_labels", problem))
    if violations:
        raise InvalidRequestError(violations)
