"""What serves in a registry, and what would if all of it had one version."""

from __future__ import annotations

from audotics.server.repository.registry import Registry


def served(registry: Registry) -> dict[str, int]:
    return dict(registry.snapshot.model_versions)


def all_at(version: int) -> dict[str, int]:
    return dict.fromkeys(("collaborative", "content", "ncf", "hybrid"), version)
