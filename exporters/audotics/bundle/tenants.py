"""Models of tenants: a tenant and a model's name go in, the name of the folder comes out, `acme--ncf`, and back.

A plain folder, so that TensorFlow Serving and Triton can be pointed at the same repository.
"""

from __future__ import annotations

import re
from typing import Final

SEPARATOR: Final = "--"
_TENANT: Final = re.compile(r"[a-z][a-z0-9_]*(-[a-z0-9_]+)*")
_LONGEST: Final = 24


def is_tenant(name: str) -> bool:
    """Whether a tenant of this name can have models: lower-case letters, digits, '_' and single '-', up to 24."""
    return len(name) <= _LONGEST and _TENANT.fullmatch(name) is not None


def qualified(tenant: str, model: str) -> str:
    """The name of a tenant's own model; without a tenant, the model's."""
    return f"{tenant}{SEPARATOR}{model}" if tenant else model


def tenant_of(name: str) -> str:
    """The tenant whose model this is; "" for a model that all share."""
    tenant, separator, _ = name.partition(SEPARATOR)
    return tenant if separator else ""


def model_of(name: str) -> str:
    """The model's name without its tenant."""
    tenant, separator, model = name.partition(SEPARATOR)
    return model if separator else tenant
