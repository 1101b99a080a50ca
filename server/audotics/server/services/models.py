"""The model repository's administration: names and versions go in, the states of the versions come out."""

from __future__ import annotations

from audotics.server.repository.registry import Registry
from audotics.server.repository.status import ModelStatus
from audotics.server.services.uninterrupted import Uninterrupted


class ModelService:
    """Lists versions and puts them in and out of service. A change goes on when its caller leaves."""

    def __init__(self, *, registry: Registry, uninterrupted: Uninterrupted) -> None:
        self._registry = registry
        self._uninterrupted = uninterrupted

    def models(self) -> list[ModelStatus]:
        """Every model of the repository."""
        return self._registry.models()

    def model(self, name: str) -> ModelStatus:
        """Raises NotFoundError."""
        return self._registry.model(name)

    async def load(self, name: str, version: int) -> ModelStatus:
        """Raises NotFoundError, or RefusedModelError when the version does not hold; the old one then serves on."""
        return await self._uninterrupted.run(self._registry.load_version(name, version))

    async def unload(self, name: str, version: int) -> ModelStatus:
        """Raises NotFoundError, or RefusedModelError when nothing could be served without it."""
        return await self._uninterrupted.run(self._registry.unload_version(name, version))
