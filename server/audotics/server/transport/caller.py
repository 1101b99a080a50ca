"""Who calls: a call's metadata goes in, a tenant and a class of priority come out; and who changes what serves."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

import grpc

from audotics.server.errors import FieldViolation, InvalidRequestError
from audotics.server.repository.history import Cause, Origin
from audotics.server.types import ANYBODY, Caller, Priority

TENANT_KEY: Final = "audotics-tenant"
PRIORITY_KEY: Final = "audotics-priority"
_LONGEST: Final = 64


def caller_of(context: grpc.aio.ServicerContext) -> Caller:
    """The caller that `audotics-tenant` and `audotics-priority` (high, normal or low) name. Raises InvalidRequestError.

    Neither is a proof of anything: they decide about turns in a queue.
    """
    given = {key: value for key, value in context.invocation_metadata() or () if key in (TENANT_KEY, PRIORITY_KEY)}
    if not given:
        return ANYBODY
    tenant, priority = str(given.get(TENANT_KEY, "")), str(given.get(PRIORITY_KEY, "normal")).upper()
    violations = []
    if len(tenant) > _LONGEST:
        violations.append(FieldViolation(TENANT_KEY, f"has {len(tenant)} characters; send up to {_LONGEST}"))
    if priority not in Priority.__members__:
        violations.append(FieldViolation(PRIORITY_KEY, f"is {priority.lower()[:40]!r}; send high, normal or low"))
    if violations:
        raise InvalidRequestError(violations)
    return Caller(tenant, Priority[priority])


def operator_of(context: grpc.aio.ServicerContext) -> Cause:
    """The cause of what this call changes: an operator at the address that it comes from, without the port."""
    kind, _, address = unquote(context.peer()).partition(":")
    return Cause(Origin.OPERATOR, caller=address.rpartition(":")[0] if kind in ("ipv4", "ipv6") else kind)
