"""Server reflection over several descriptor pools: services go in, one pool that describes all of them comes out."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from audotics.server.transport.compat.service import ForeignService


def reflection_pool(names: Iterable[str], foreign: Iterable[ForeignService]) -> descriptor_pool.DescriptorPool:
    """`names` are services of the default pool. A file that stands in both is one of Protobuf's own."""
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
    pool = descriptor_pool.DescriptorPool()
    for described in files.values():
        pool.AddSerializedFile(described.SerializeToString())
    return pool
