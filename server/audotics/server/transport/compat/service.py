"""One service of another protocol: what the server needs to register it, and to describe it by reflection."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor

from audotics.server.transport.compat.private_pool import PrivatePool


@dataclass(frozen=True, slots=True, eq=False)
class ForeignService:
    """`servicer` has the methods of `descriptor`, which stands in `pool`. See `handlers.service_handler`."""

    descriptor: ServiceDescriptor
    servicer: object
    pool: PrivatePool

    @property
    def name(self) -> str:
        return str(self.descriptor.full_name)
