"""Where a model runs, as `ModelConfig` of the Open Inference Protocol says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from audotics.bundle.runtime import RuntimeChoice
from audotics.server.repository.loading import LoadedModel
from audotics.server.runtime.opening import RuntimeOpener
from audotics.server.services.signature import Signature
from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.v2.repository import encode_config


@pytest.mark.parametrize(
    ("device", "kind", "gpus"),
    [("cpu", "KIND_CPU", []), ("cuda:0", "KIND_GPU", [0]), ("cuda:3", "KIND_GPU", [3]), ("", "KIND_MODEL", [])],
)
def test_instances_say_where_they_run(repository: Any, device: str, kind: str, gpus: list[int]) -> None:
    bundle = repository.store.open("ncf", 1)
    model = RuntimeOpener().open(bundle, RuntimeChoice())
    signature = replace(Signature.of("ncf", LoadedModel(bundle, model, None, 0)), device=device)
    (group,) = pb.ModelConfigResponse.FromString(
        encode_config(signature, [1], instances=2).SerializeToString()
    ).config.instance_group
    assert (group.count, pb.ModelInstanceGroup.Kind.Name(group.kind), list(group.gpus)) == (2, kind, gpus)
