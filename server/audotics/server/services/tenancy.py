"""Whose model a request means: a name and a tenant go in, the name in the repository comes out.

A tenant's own model stands before one of the same name that all share. Models of other tenants do not exist for it;
who names no tenant is an operator and sees them all, by their full names.
"""

from __future__ import annotations

from audotics.bundle.tenants import is_tenant, qualified, tenant_of
from audotics.server.errors import NotFoundError
from audotics.server.repository.registry import Registry


class Tenancy:
    """Names as tenants see them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def resolve(self, name: str, tenant: str) -> str:
        """The model to call. Raises NotFoundError for a name that is another tenant's."""
        owner = tenant_of(name)
        if owner:
            if tenant and owner != tenant:
                raise NotFoundError("model", [name])
            return name
        if not tenant:
            return name
        # One that is on disk counts, be it loaded or refused: nobody is to be answered by another model than theirs.
        own = qualified(tenant, name) if is_tenant(tenant) else name
        return own if self._registry.knows(own) else name

    def own(self, name: str, tenant: str) -> str:
        """The model to load, unload or label. Raises NotFoundError for one that is not the tenant's own."""
        if not tenant:
            return name
        owner = tenant_of(name)
        if not is_tenant(tenant) or owner not in ("", tenant):
            raise NotFoundError("model", [name], hint=f"the tenant {tenant[:40]!r} has no such model of its own")
        return name if owner else qualified(tenant, name)

    def sees(self, name: str, tenant: str) -> bool:
        """Whether the model exists for the tenant: its own, those that all share, and for an operator every one."""
        return not tenant or tenant_of(name) in ("", tenant)
