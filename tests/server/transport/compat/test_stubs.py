"""The stubs of other servers' protocols: wire-compatible with the originals, and apart from them in one process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from audotics.server.transport.compat.stubs import inference_pb2


def described(field: FieldDescriptor) -> tuple[Any, ...]:
    kind = field.message_type or field.enum_type
    return field.name, field.type, field.is_repeated, kind.full_name if kind else None


def messages(found: Descriptor) -> Iterator[Descriptor]:
    yield found
    for nested in found.nested_types:
        yield from messages(nested)


def ours(module: Any) -> list[Descriptor]:
    kinds = [
        kind.DESCRIPTOR for kind in vars(module).values() if isinstance(kind, type) and hasattr(kind, "FromString")
    ]
    assert kinds
    return [message for kind in kinds for message in messages(kind)]


def test_every_field_of_the_inference_protocol_is_tritons() -> None:
    pytest.importorskip("tritonclient.grpc")
    from tritonclient.grpc import model_config_pb2, service_pb2

    pool = service_pb2.DESCRIPTOR.pool
    assert pool is model_config_pb2.DESCRIPTOR.pool
    for message in ours(inference_pb2):
        theirs = pool.FindMessageTypeByName(message.full_name)
        assert theirs is not message
        for field in message.fields:
            assert described(field) == described(theirs.fields_by_number[field.number]), field.full_name
    for method in inference_pb2.POOL.service("inference.GRPCInferenceService").methods:
        original = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name[method.name]
        assert (method.client_streaming, method.server_streaming) == (
            original.client_streaming,
            original.server_streaming,
        )
        assert method.input_type.full_name == original.input_type.full_name
        assert method.output_type.full_name == original.output_type.full_name


def test_the_client_of_triton_loads_in_the_same_process() -> None:
    pytest.importorskip("tritonclient.grpc")
    program = (
        "import sys, audotics.server.transport.compat.v2.servicer; "
        "print([name for name in ('inference', 'tensorflow', 'tritonclient') if name in sys.modules]); "
        "import tritonclient.grpc.service_pb2"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "[]"
