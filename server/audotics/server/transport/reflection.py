"""Server reflection, in both of its versions: services go in, what describes them to `grpcurl` and others comes out.

The two versions differ in the name of their package only. The descriptors of several pools stand in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2

from audotics.server.transport.compat.service import ForeignService

_V1_PACKAGE: Final = "grpc.reflection.v1"
SERVICES: Final = (f"{_V1_PACKAGE}.ServerReflection", reflection.SERVICE_NAME)
"""The stable version, and the one before it, which older clients know."""


class ReflectionServicer(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """The servicer of grpcio-reflection, which finds methods and values of enumerations, too."""

    def _file_containing_symbol(
        self, request: reflection_pb2.ServerReflectionRequest, fully_qualified_name: str
    ) -> reflection_pb2.ServerReflectionResponse:
        """Protobuf's pools do not know all symbols within a service or an enumeration, but these themselves."""
        answer = super()._file_containing_symbol(request, fully_qualified_name)
        if not answer.HasField("error_response"):
            return answer
        parent, _, name = fully_qualified_name.rpartition(".")
        return super()._file_containing_symbol(request, parent) if self._has(parent, name) else answer

    def _has(self, parent: str, name: str) -> bool:
        for find, members in (
            (self._pool.FindServiceByName, "methods_by_name"),
            (self._pool.FindEnumTypeByName, "values_by_name"),
        ):
            try:
                return name in getattr(find(parent), members)
            except KeyError:
                continue
        return False


def reflection_handlers(names: Iterable[str], foreign: Iterable[ForeignService]) -> list[grpc.GenericRpcHandler]:
    """Handlers of both versions. `names` are services of the default pool; those of reflection itself come along."""
    foreign = tuple(foreign)
    native = (*names, reflection.SERVICE_NAME)
    listed = {*native, *SERVICES, *(service.name for service in foreign)}
    servicer = ReflectionServicer(listed, pool=_joined_pool(native, foreign))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return [grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}) for name in SERVICES]


def _joined_pool(names: Iterable[str], foreign: Iterable[ForeignService]) -> descriptor_pool.DescriptorPool:
    """One pool that describes all services. A file that stands in several is one of Protobuf's own."""
    files: dict[str, FileDescriptorProto] = {}

    def add(file: FileDescriptor) -> None:
        if file.name in files:
            return
        for dependency in file.dependencies:
            add(dependency)
        files[file.name] = FileDescriptorProto.FromString(file.serialized_pb)

    for name in names:
        add(descriptor_pool.Default().FindServiceByName(name).file)
    for service in foreign:
        for file in service.pool.files:
            files.setdefault(file.name, file)
    stable = _stable_version(FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb))
    files.setdefault(stable.name, stable)
    pool = descriptor_pool.DescriptorPool()
    for described in files.values():
        pool.AddSerializedFile(described.SerializeToString())
    return pool


def _stable_version(file: FileDescriptorProto) -> FileDescriptorProto:
    """The file of reflection's stable version, from that of v1alpha."""
    before = file.package
    file.name, file.package = file.name.replace("v1alpha", "v1"), _V1_PACKAGE

    def renamed(name: str) -> str:
        return name.replace(f".{before}.", f".{_V1_PACKAGE}.")

    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = renamed(field.type_name)
    for service in file.service:
        for method in service.method:
            method.input_type, method.output_type = renamed(method.input_type), renamed(method.output_type)
    return file
