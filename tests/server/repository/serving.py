"""What serves in a registry, in which states versions are, and what would serve if all had one version."""

from __future__ import annotations

from audotics.server.repository.registry import Registry
from audotics.server.repository.status import VersionState


def served(registry: Registry) -> dict[str, int]:
    return dict(registry.snapshot.model_versions)


def all_at(version: int) -> dict[str, int]:
    return dict.fromkeys(("collaborative", "content", "ncf", "hybrid"), version)


async def states(registry: Registry, name: str) -> dict[int, VersionState]:
    return {status.version: status.state for status in (await registry.model(name)).versions}
