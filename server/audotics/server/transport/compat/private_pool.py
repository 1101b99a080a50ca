"""A descriptor pool apart from the default one: an encoded FileDescriptorSet goes in, classes of messages come out.

Two modules that define the same package cannot stand in one pool, and `tritonclient` and `tensorflow-serving-api` put
theirs into the default one. Messages of a pool of our own have the same names and numbers and meet theirs only on the
wire.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet


class PrivatePool:
    """The files of one FileDescriptorSet, in base64, each after those that it imports."""

    def __init__(self, encoded: str) -> None:
        self.files: Final[tuple[FileDescriptorProto, ...]] = tuple(
            FileDescriptorSet.FromString(base64.b64decode(encoded)).file
        )
        self._pool = descriptor_pool.DescriptorPool()
        for file in self.files:
            self._pool.AddSerializedFile(file.SerializeToString())

    def message(self, full_name: str) -> Any:
        """The class of a message. The same one each time."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(full_name))

    def service(self, full_name: str) -> ServiceDescriptor:
        """Raises KeyError for a service that the files do not define."""
        return self._pool.FindServiceByName(full_name)
